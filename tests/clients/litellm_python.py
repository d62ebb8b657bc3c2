"""`litellm`, as a client of each protocol that the server has."""
import asyncio
import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for prices
import litellm  # pylint: disable=wrong-import-position
from scenario import (CALL, FULL_TOOL, KEY, LONG, MODEL, PICTURE, SOUND, TEXT, TOO_LONG, TOOL, URL, check_cancel,
                      equal, needs, raises, run, scenario)

litellm.telemetry = False
litellm.suppress_debug_info = True


def ask(content, **more):
    more.setdefault("temperature", 0)
    more.setdefault("api_key", KEY)
    messages = content if isinstance(content, list) and "role" in content[0] else [{"role": "user", "content": content}]
    return litellm.completion(model="openai/" + MODEL, api_base=URL + "/v1", messages=messages, num_retries=0,
                              max_retries=0, timeout=60, **more)


@scenario
def text():
    answer = ask(TEXT["prompt"])
    equal(answer.choices[0].message.content, TEXT["answer"])
    equal(answer.choices[0].finish_reason, "stop")
    assert answer.usage.completion_tokens > 2, answer.usage


@scenario
def stream():
    pieces = list(ask(TEXT["prompt"], stream=True, stream_options={"include_usage": True}))
    equal("".join(p.choices[0].delta.content or "" for p in pieces if p.choices), TEXT["answer"])
    whole = litellm.stream_chunk_builder(pieces)
    equal(whole.choices[0].finish_reason, "stop")
    assert whole.usage.completion_tokens > 2, whole.usage


@scenario
def asynchronous():
    async def many():
        answers = await asyncio.gather(*(litellm.acompletion(
            model="openai/" + MODEL, api_base=URL + "/v1", api_key=KEY, temperature=0,
            messages=[{"role": "user", "content": TEXT["prompt"]}]) for _ in range(6)))
        equal({a.choices[0].message.content for a in answers}, {TEXT["answer"]})
    asyncio.run(many())


@scenario
def tools():
    asked = [{"role": "user", "content": CALL["prompt"]}]
    answer = ask(asked, tools=[TOOL])
    message = answer.choices[0].message
    call = message.tool_calls[0]
    equal((call.function.name, json.loads(call.function.arguments)["amount"]), (CALL["name"], CALL["amount"]))
    result = {"role": "tool", "tool_call_id": call.id, "name": CALL["name"], "content": "the timer runs"}
    after = ask(asked + [message.model_dump(), result], tools=[TOOL], max_tokens=20)
    assert after.usage.prompt_tokens > answer.usage.prompt_tokens + 10, after.usage


@scenario
def tools_forced():
    needs("tool_choice")
    for choice in ("required", {"type": "function", "function": {"name": "timer"}}):
        call = ask(CALL["prompt"], tools=[FULL_TOOL], tool_choice=choice).choices[0].message.tool_calls[0]
        assert isinstance(json.loads(call.function.arguments)["amount"], int), call


@scenario
def schema():
    needs("response_format")
    form = {"type": "json_schema", "json_schema": {"name": "shape", "strict": True, "schema": {
        "type": "object", "properties": {"many": {"type": "boolean"}}, "required": ["many"],
        "additionalProperties": False}}}
    answer = ask("how many", response_format=form)
    assert isinstance(json.loads(answer.choices[0].message.content)["many"], bool), answer


@scenario
def picture():
    answer = ask([{"type": "image_url", "image_url": {"url": PICTURE["url"], "detail": "low"}},
                  {"type": "text", "text": PICTURE["prompt"]}])
    equal(answer.choices[0].message.content, PICTURE["answer"])


@scenario
def sound():
    answer = ask([{"type": "text", "text": SOUND["prompt"]},
                  {"type": "input_audio", "input_audio": {"data": SOUND["base64"], "format": "wav"}}])
    equal(answer.choices[0].message.content, SOUND["answer"])


@scenario
def embeddings():
    needs("/v1/embeddings")
    answer = litellm.embedding(model="openai/" + MODEL, api_base=URL + "/v1", api_key=KEY, input=["hello", "you"])
    equal(len(answer.data), 2)


@scenario
def responses():
    needs("/v1/responses")
    answer = litellm.responses(model="openai/" + MODEL, api_base=URL + "/v1", api_key=KEY, input=TEXT["prompt"],
                               temperature=0)
    equal(answer.output[-1].content[0].text, TEXT["answer"])


@scenario
def anthropic_protocol():
    needs("/v1/messages")
    answer = litellm.completion(model="anthropic/" + MODEL, api_base=URL, api_key=KEY, temperature=0, max_tokens=50,
                                messages=[{"role": "user", "content": TEXT["prompt"]}])
    equal(answer.choices[0].message.content, TEXT["answer"])


@scenario
def ollama_protocol():
    needs("/api/chat")
    # It asks /api/show about the model first.
    answer = litellm.completion(model="ollama_chat/" + MODEL, api_base=URL, api_key=KEY, temperature=0,
                                messages=[{"role": "user", "content": TEXT["prompt"]}])
    equal(answer.choices[0].message.content, TEXT["answer"])


@scenario
def errors():
    with raises(litellm.BadRequestError, "temperature"):
        ask("hello", temperature=1000)
    with raises(litellm.BadRequestError, "context", "4096"):
        ask(TOO_LONG)
    with raises(litellm.AuthenticationError, "key"):
        ask("hello", api_key="wrong")


@scenario
def cancel():
    def begin():
        pieces = ask(LONG["prompt"], temperature=LONG["temperature"], seed=LONG["seed"], stream=True)
        for _, _ in zip(range(3), pieces):
            pass
        pieces.completion_stream.close()
    check_cancel(begin)


run()
