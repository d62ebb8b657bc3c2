"""`langchain-openai`: ChatOpenAI, its tools, structured output and embeddings."""
import base64
from typing import Literal

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from scenario import (CALL, FULL_TOOL, KEY, LONG, MODEL, PICTURE, SOUND, TEXT, TOO_LONG, TOOL, URL, check_cancel,
                      equal, needs, raises, run, scenario)


def chat(**more):
    more.setdefault("temperature", 0)
    more.setdefault("api_key", KEY)
    return ChatOpenAI(model=MODEL, base_url=URL + "/v1", max_retries=0, timeout=60, **more)


@scenario
def text():
    answer = chat().invoke(TEXT["prompt"])
    equal(answer.content, TEXT["answer"])
    equal(answer.response_metadata["finish_reason"], "stop")
    assert answer.usage_metadata["output_tokens"] > 2, answer.usage_metadata
    short = chat(max_tokens=2).invoke(TEXT["prompt"])  # goes as max_completion_tokens
    equal(short.usage_metadata["output_tokens"], 2)


@scenario
def stream():
    whole = None
    for piece in chat(stream_usage=True).stream(TEXT["prompt"]):
        whole = piece if whole is None else whole + piece
    equal(whole.content, TEXT["answer"])
    assert whole.usage_metadata["output_tokens"] > 2, whole.usage_metadata


@scenario
def tools():
    model = chat(max_tokens=40).bind_tools([TOOL])
    asked = HumanMessage(CALL["prompt"])
    answer = model.invoke([asked])
    call = answer.tool_calls[0]
    equal((call["name"], call["args"]["amount"]), (CALL["name"], CALL["amount"]))
    after = model.invoke([asked, answer, ToolMessage("the timer runs", tool_call_id=call["id"])])
    assert after.usage_metadata["input_tokens"] > answer.usage_metadata["input_tokens"] + 10, after
    whole = None
    for piece in model.stream([asked]):
        whole = piece if whole is None else whole + piece
    equal(whole.tool_calls[0]["args"], call["args"], "arguments of a stream")


@scenario
def tools_forced():
    needs("tool_choice")
    for choice in ("any", "timer"):
        call = chat().bind_tools([FULL_TOOL], tool_choice=choice).invoke(CALL["prompt"]).tool_calls[0]
        assert isinstance(call["args"]["amount"], int), call


class Shape(BaseModel):
    colour: Literal["red", "green", "blue"]
    many: bool


@scenario
def schema():
    needs("response_format")
    answer = chat().with_structured_output(Shape, method="json_schema").invoke("what is in the picture")
    assert isinstance(answer, Shape), answer


@scenario
def schema_by_tool():
    needs("tool_choice")
    answer = chat().with_structured_output(Shape, method="function_calling").invoke("what is in the picture")
    assert isinstance(answer, Shape), answer


@scenario
def picture():
    answer = chat().invoke([HumanMessage([
        {"type": "image_url", "image_url": {"url": PICTURE["url"], "detail": "low"}},
        {"type": "text", "text": PICTURE["prompt"]}])])
    equal(answer.content, PICTURE["answer"])
    # LangChain's own form of the same.
    answer = chat().invoke([HumanMessage([
        {"type": "image", "base64": PICTURE["base64"], "mime_type": "image/png"},
        {"type": "text", "text": PICTURE["prompt"]}])])
    assert answer.usage_metadata["input_tokens"] > 60, answer


@scenario
def sound():
    answer = chat().invoke([HumanMessage([
        {"type": "text", "text": SOUND["prompt"]},
        {"type": "input_audio", "input_audio": {"data": SOUND["base64"], "format": "wav"}}])])
    equal(answer.content, SOUND["answer"])
    answer = chat().invoke([HumanMessage([
        {"type": "text", "text": SOUND["prompt"]},
        {"type": "audio", "base64": SOUND["base64"], "mime_type": "audio/wav"}])])
    equal(answer.content, SOUND["answer"])
    assert base64.b64decode(SOUND["base64"])


@scenario
def embeddings():
    needs("/v1/embeddings")
    # Sends the tokens of another model's vocabulary unless it is told not to.
    model = OpenAIEmbeddings(model=MODEL, base_url=URL + "/v1", api_key=KEY, check_embedding_ctx_length=False)
    vectors = model.embed_documents(["hello", "turn off the light"])
    assert len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 16


@scenario
def errors():
    with raises(openai.BadRequestError, "temperature"):
        chat(temperature=1000).invoke("hello")
    with raises(openai.BadRequestError, "context", "4096"):
        chat().invoke(TOO_LONG)
    with raises(openai.AuthenticationError, "key"):
        chat(api_key="wrong").invoke("hello")


@scenario
def cancel():
    def begin():
        pieces = chat(temperature=LONG["temperature"], seed=LONG["seed"]).stream(LONG["prompt"])
        for _, _ in zip(range(3), pieces):
            pass
        pieces.close()
    check_cancel(begin)


run()
