"""`pydantic-ai`: agents with tools and typed output over OpenAI's chat."""
import asyncio
import base64
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, ToolReturnPart
from pydantic_ai.direct import model_request_sync
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition
from scenario import (CALL, KEY, LONG, MODEL, PICTURE, SOUND, TEXT, TOO_LONG, URL, check_cancel, equal, needs, raises,
                      run, scenario)


def model(key=KEY):
    return OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=URL + "/v1", api_key=key))


def agent(**more):
    more.setdefault("model_settings", {"temperature": 0})
    return Agent(model(), retries=0, **more)


@scenario
def text():
    answer = agent().run_sync(TEXT["prompt"])
    equal(answer.output, TEXT["answer"])
    usage = answer.usage() if callable(answer.usage) else answer.usage
    assert usage.output_tokens > 2, usage


@scenario
def stream():
    async def read():
        async with agent().run_stream(TEXT["prompt"]) as answer:
            pieces = [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]
        equal("".join(pieces), TEXT["answer"])
    asyncio.run(read())


@scenario
def tools():
    """Chick calls by itself where no tool is declared; the second turn has the declaration."""
    asked = ModelRequest(parts=[UserPromptPart(CALL["prompt"])])
    first = model_request_sync(model(), [asked], model_settings={"temperature": 0})
    call = next(part for part in first.parts if isinstance(part, ToolCallPart))
    equal((call.tool_name, call.args_as_dict()["amount"]), (CALL["name"], CALL["amount"]))
    timer = ToolDefinition(name="timer", description="Sets a timer.", parameters_json_schema={
        "type": "object", "properties": {"amount": {"type": "integer"}, "unit": {"type": "string"}}})
    result = ModelRequest(parts=[ToolReturnPart(tool_name="timer", content="the timer runs",
                                                tool_call_id=call.tool_call_id)])
    second = model_request_sync(model(), [asked, ModelResponse(parts=[call]), result],
                                model_settings={"temperature": 0, "max_tokens": 20},
                                model_request_parameters=ModelRequestParameters(function_tools=[timer]))
    assert second.usage.input_tokens > first.usage.input_tokens + 10, second.usage


class Shape(BaseModel):
    colour: Literal["red", "green", "blue"]
    many: bool


@scenario
def tools_forced():
    needs("tool_choice")
    assert isinstance(agent(output_type=Shape).run_sync("what is in the picture").output, Shape)


@scenario
def schema():
    needs("response_format")
    from pydantic_ai import NativeOutput
    assert isinstance(agent(output_type=NativeOutput(Shape)).run_sync("what is in the picture").output, Shape)


@scenario
def picture():
    content = BinaryContent(base64.b64decode(PICTURE["base64"]), media_type="image/png")
    answer = agent().run_sync([content, PICTURE["prompt"]])
    usage = answer.usage() if callable(answer.usage) else answer.usage
    assert usage.input_tokens > 60, usage


@scenario
def sound():
    content = BinaryContent(base64.b64decode(SOUND["base64"]), media_type="audio/wav")
    equal(agent().run_sync([SOUND["prompt"], content]).output, SOUND["answer"])


@scenario
def errors():
    with raises(ModelHTTPError, "temperature"):
        agent(model_settings={"temperature": 1000}).run_sync("hello")
    with raises(ModelHTTPError, "context", "4096"):
        agent().run_sync(TOO_LONG)
    with raises(ModelHTTPError, "401"):
        Agent(model("wrong"), retries=0).run_sync("hello")


@scenario
def cancel():
    async def hang_up():
        settings = {"temperature": LONG["temperature"], "seed": LONG["seed"]}
        async with agent(model_settings=settings).run_stream(LONG["prompt"]) as answer:
            async for _ in answer.stream_text(delta=True, debounce_by=None):
                break
    check_cancel(lambda: asyncio.run(hang_up()))


run()
