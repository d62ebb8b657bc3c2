"""The `openai` package for Python: chat, completions and what is built on them."""
import asyncio
import json
from typing import Literal

import openai
from pydantic import BaseModel
from scenario import (CALL, FULL_TOOL, KEY, LONG, MODEL, PICTURE, SOUND, TEXT, TOO_LONG, TOOL, URL, OwnServer,
                      check_cancel, equal, needs, raises, run, scenario)

client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)


def ask(content, **more):
    more.setdefault("temperature", 0)
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], **more)


@scenario
def models():
    listed = list(client.models.list())
    equal([m.object for m in listed], ["model"])
    equal(client.models.retrieve(listed[0].id).id, listed[0].id)


@scenario
def text():
    answer = ask(TEXT["prompt"])
    equal(answer.choices[0].message.content, TEXT["answer"])
    equal(answer.choices[0].finish_reason, "stop")
    equal(answer.model, client.models.list().data[0].id, "model")
    usage = answer.usage
    assert usage.prompt_tokens > 10 and usage.completion_tokens > 2, usage
    equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    again = ask(TEXT["prompt"])
    assert again.usage.prompt_tokens_details.cached_tokens > 0, again.usage
    two = ask(TEXT["prompt"], n=2, temperature=1, seed=3, max_completion_tokens=3)
    equal([c.index for c in two.choices], [0, 1])


@scenario
def stream():
    chunks = list(ask(TEXT["prompt"], stream=True, stream_options={"include_usage": True}))
    equal(chunks[0].choices[0].delta.role, "assistant")
    equal("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), TEXT["answer"])
    equal([c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason], ["stop"])
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 1, "all in one piece"
    equal(chunks[-1].choices, [])
    assert chunks[-1].usage.completion_tokens > 2
    equal(len({c.id for c in chunks}), 1, "ids")
    with client.chat.completions.stream(
            model=MODEL, messages=[{"role": "user", "content": TEXT["prompt"]}], temperature=0) as events:
        for _ in events:
            pass
        equal(events.get_final_completion().choices[0].message.content, TEXT["answer"])


@scenario
def many_at_once():
    async def all_of_them():
        many = openai.AsyncOpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)
        answers = await asyncio.gather(*(many.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": TEXT["prompt"]}], temperature=0) for _ in range(12)))
        equal({a.choices[0].message.content for a in answers}, {TEXT["answer"]})
        await many.close()
    asyncio.run(all_of_them())


@scenario
def completions():
    answer = client.completions.create(model=MODEL, prompt="call tom tom", temperature=0, max_tokens=4)
    equal(answer.choices[0].text, " tom tom tom tom")
    equal(answer.choices[0].finish_reason, "length")
    pieces = client.completions.create(model=MODEL, prompt="call tom tom", temperature=0, max_tokens=4, stream=True)
    equal("".join(p.choices[0].text for p in pieces), " tom tom tom tom")


def second_turn(message, tool):
    call = message.tool_calls[0]
    return client.chat.completions.create(
        model=MODEL, temperature=0, max_completion_tokens=20, tools=[tool],
        messages=[{"role": "user", "content": CALL["prompt"]}, message.model_dump(exclude_unset=True),
                  {"role": "tool", "tool_call_id": call.id, "content": "the timer runs"}])


@scenario
def tools():
    answer = ask(CALL["prompt"], tools=[TOOL])
    message = answer.choices[0].message
    equal(answer.choices[0].finish_reason, "tool_calls")
    equal(message.tool_calls[0].function.name, CALL["name"])
    equal(json.loads(message.tool_calls[0].function.arguments)["amount"], CALL["amount"])
    after = second_turn(message, TOOL)
    assert isinstance(after.choices[0].message.content, str)
    assert after.usage.prompt_tokens > answer.usage.prompt_tokens + 10, "the result is not part of the prompt"
    none = ask(CALL["prompt"], tools=[TOOL], tool_choice="none")
    assert isinstance(none.choices, list)


@scenario
def tools_stream():
    with client.chat.completions.stream(model=MODEL, messages=[{"role": "user", "content": CALL["prompt"]}],
                                        tools=[TOOL], temperature=0) as events:
        kinds = [event.type for event in events]
        call = events.get_final_completion().choices[0].message.tool_calls[0]
    equal((call.function.name, json.loads(call.function.arguments)["amount"]), (CALL["name"], CALL["amount"]))
    assert "tool_calls.function.arguments.done" in kinds, kinds


@scenario
def tools_forced():
    needs("tool_choice")
    for choice in ("required", {"type": "function", "function": {"name": "timer"}}):
        message = ask(CALL["prompt"], tools=[FULL_TOOL], tool_choice=choice).choices[0].message
        arguments = json.loads(message.tool_calls[0].function.arguments)
        assert isinstance(arguments["amount"], int) and arguments["unit"] in ("minutes", "hours"), arguments
        second_turn(message, FULL_TOOL)


@scenario
def logprobs():
    needs("logprobs")
    whole = ask(TEXT["prompt"], logprobs=True, top_logprobs=2).choices[0]
    equal("".join(token.token for token in whole.logprobs.content), TEXT["answer"])
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in whole.logprobs.content)
    pieces = [token.token for piece in ask(TEXT["prompt"], logprobs=True, stream=True) for choice in piece.choices
              if choice.logprobs for token in choice.logprobs.content or []]
    equal("".join(pieces), TEXT["answer"])


@scenario
def embeddings():
    needs("/v1/embeddings")
    # Both ways to send numbers: as base64, which is the client's own, and as a list.
    packed = client.embeddings.create(model=MODEL, input=["hello", "turn off the light"])
    plain = client.embeddings.create(model=MODEL, input=["hello", "turn off the light"], encoding_format="float")
    equal([one.index for one in packed.data], [0, 1])
    for one, other in zip(packed.data, plain.data):
        assert len(one.embedding) > 16 and all(abs(a - b) < 1e-4 for a, b in zip(one.embedding, other.embedding))


@scenario
def responses():
    needs("/v1/responses")
    answer = client.responses.create(model=MODEL, input=TEXT["prompt"], temperature=0)
    equal((answer.output_text, answer.status), (TEXT["answer"], "completed"))
    after = client.responses.create(model=MODEL, input=TEXT["prompt"], temperature=0, previous_response_id=answer.id)
    assert after.usage.input_tokens > answer.usage.input_tokens + 10, after.usage
    equal(client.responses.retrieve(answer.id).output_text, TEXT["answer"])
    client.responses.delete(answer.id)
    with client.responses.stream(model=MODEL, input=TEXT["prompt"], temperature=0, store=False) as events:
        kinds = [event.type for event in events]
        equal(events.get_final_response().output_text, TEXT["answer"])
    equal((kinds[0], kinds[-1]), ("response.created", "response.completed"))
    call = next(item for item in client.responses.create(model=MODEL, input=CALL["prompt"], temperature=0).output
                if item.type == "function_call")
    equal((call.name, json.loads(call.arguments)["amount"]), (CALL["name"], CALL["amount"]))
    second = client.responses.create(model=MODEL, temperature=0, max_output_tokens=20, input=[
        {"role": "user", "content": CALL["prompt"]}, call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "the timer runs"}])
    assert second.status in ("completed", "incomplete"), second
    with raises(openai.BadRequestError, "temperature"):
        client.responses.create(model=MODEL, input="hello", temperature=1000)


class Shape(BaseModel):
    colour: Literal["red", "green", "blue"]
    many: bool


@scenario
def schema():
    needs("response_format")
    answer = client.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "what is in the picture"}], response_format=Shape,
        temperature=0)
    assert isinstance(answer.choices[0].message.parsed, Shape), answer
    free = ask("what is in the picture", response_format={"type": "json_object"}, max_completion_tokens=200)
    if free.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(free.choices[0].message.content), dict)


@scenario
def picture():
    content = [{"type": "image_url", "image_url": {"url": PICTURE["url"], "detail": "low"}},
               {"type": "text", "text": PICTURE["prompt"]}]
    equal(ask(content).choices[0].message.content, PICTURE["answer"])


@scenario
def sound():
    content = [{"type": "text", "text": SOUND["prompt"]},
               {"type": "input_audio", "input_audio": {"data": SOUND["base64"], "format": "wav"}}]
    equal(ask(content).choices[0].message.content, SOUND["answer"])


@scenario
def errors():
    with raises(openai.BadRequestError, "temperature"):
        ask("hello", temperature=1000)
    with raises(openai.BadRequestError, "context", "4096"):
        ask(TOO_LONG)
    with raises(openai.BadRequestError, "messages[0]"):
        ask([{"type": "image_url", "image_url": {"url": "data:image/png;base64,bm8gcGljdHVyZQ=="}}])
    with raises(openai.AuthenticationError, "key"):
        client.with_options(api_key="wrong").models.list()
    with raises(openai.NotFoundError):
        client.models.retrieve("another")
    with raises(openai.BadRequestError, "temperature"):  # before a stream begins it is a status
        list(ask("hello", temperature=1000, stream=True))


@scenario
def stopped_server():
    with OwnServer() as server:
        one = openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0, timeout=60)
        stream_of_it = one.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": LONG["prompt"]}], temperature=LONG["temperature"],
            seed=LONG["seed"], stream=True)
        next(iter(stream_of_it))
        server.process.terminate()
        with raises(openai.APIError, "stopped"):
            for _ in stream_of_it:
                pass
        equal(server.process.wait(timeout=20), 0, "exit code")


@scenario
def cancel():
    def begin():
        with ask(LONG["prompt"], temperature=LONG["temperature"], seed=LONG["seed"], stream=True) as pieces:
            for _, _ in zip(range(3), pieces):
                pass
    check_cancel(begin)

    def give_up():
        with raises(openai.APITimeoutError):
            client.with_options(timeout=0.3).chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": LONG["prompt"]}], n=4,
                temperature=LONG["temperature"], seed=LONG["seed"])
    check_cancel(give_up)


run()
