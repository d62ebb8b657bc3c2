"""The `anthropic` package for Python."""
import json

import anthropic
from scenario import (CALL, FULL_TOOL, KEY, LONG, MODEL, PICTURE, TEXT, TOO_LONG, URL, OwnServer, check_cancel, equal,
                      needs, raises, run, scenario)

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=60)
# The newest clients have no parameter for it any more.
GREEDY = {"temperature": 0}
TOOL = {"name": "timer", "description": "Sets a timer.", "input_schema": FULL_TOOL["function"]["parameters"]}


def ask(content, **more):
    needs("/v1/messages")
    more = {"max_tokens": 100, "messages": [{"role": "user", "content": content}], **more}
    extra = {"temperature": more.pop("temperature", 0)}
    return client.messages.create(model=MODEL, extra_body=extra, **more)


@scenario
def text():
    answer = ask(TEXT["prompt"])
    equal([block.type for block in answer.content], ["text"])
    equal(answer.content[0].text, TEXT["answer"])
    equal((answer.stop_reason, answer.role, answer.type), ("end_turn", "assistant", "message"))
    assert answer.usage.output_tokens > 2, answer.usage
    equal(ask(TEXT["prompt"], max_tokens=2).stop_reason, "max_tokens")
    stopped = ask(TEXT["prompt"], stop_sequences=["lampe"])
    equal((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", "lampe"))


@scenario
def stream():
    needs("/v1/messages")
    with client.messages.stream(model=MODEL, max_tokens=100, extra_body=GREEDY,
                                messages=[{"role": "user", "content": TEXT["prompt"]}]) as events:
        kinds = [event.type for event in events]
        message = events.get_final_message()
    equal(message.content[0].text, TEXT["answer"])
    equal(message.stop_reason, "end_turn")
    equal((kinds[0], kinds[-1]), ("message_start", "message_stop"))
    assert message.usage.output_tokens > 2, message.usage


@scenario
def count_tokens():
    needs("/v1/messages")
    counted = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": TEXT["prompt"]}])
    usage = ask(TEXT["prompt"]).usage
    equal(counted.input_tokens, usage.input_tokens + (usage.cache_read_input_tokens or 0)
          + (usage.cache_creation_input_tokens or 0))


@scenario
def tools():
    """Chick calls by itself where no tool is declared; the second turn has the declaration."""
    first = ask(CALL["prompt"])
    call = next(block for block in first.content if block.type == "tool_use")
    equal((first.stop_reason, call.name, call.input["amount"]), ("tool_use", CALL["name"], CALL["amount"]))
    second = ask(None, max_tokens=20, tools=[TOOL], messages=[
        {"role": "user", "content": CALL["prompt"]},
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "the timer runs"}]}])
    assert second.content is not None
    with client.messages.stream(model=MODEL, max_tokens=100, extra_body=GREEDY,
                                messages=[{"role": "user", "content": CALL["prompt"]}]) as events:
        message = events.get_final_message()
    streamed = next(block for block in message.content if block.type == "tool_use")
    equal((streamed.name, streamed.input), (call.name, call.input), "call of a stream")


@scenario
def tools_forced():
    needs("tool_choice")
    for choice in ({"type": "any"}, {"type": "tool", "name": "timer"}):
        answer = ask(CALL["prompt"], tools=[TOOL], tool_choice=choice)
        call = next(block for block in answer.content if block.type == "tool_use")
        assert isinstance(call.input["amount"], int) and call.input["unit"] in ("minutes", "hours"), call


@scenario
def thinking():
    answer = ask("hello", temperature=1, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    assert all(block.type in ("thinking", "text", "tool_use") for block in answer.content), answer


@scenario
def picture():
    answer = ask([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE["base64"]}},
                  {"type": "text", "text": PICTURE["prompt"]}])
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) > 60, answer.usage


@scenario
def errors():
    with raises(anthropic.BadRequestError, "temperature"):
        ask("hello", temperature=1000)
    with raises(anthropic.BadRequestError, "context", "4096"):
        ask(TOO_LONG)
    needs("/v1/messages")
    with raises(anthropic.AuthenticationError, "key"):
        client.with_options(api_key="wrong").messages.create(
            model=MODEL, max_tokens=1, messages=[{"role": "user", "content": "hello"}])
    error = None
    try:
        ask("hello", temperature=1000)
    except anthropic.BadRequestError as caught:
        error = caught
    equal((error.body["type"], error.body["error"]["type"]), ("error", "invalid_request_error"), json.dumps(error.body))


@scenario
def stopped_server():
    needs("/v1/messages")
    with OwnServer() as server:
        one = anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0, timeout=60)
        for _ in range(20):
            events = one.messages.create(model=MODEL, max_tokens=2000, stream=True, extra_body={"temperature": 100},
                                         messages=[{"role": "user", "content": LONG["prompt"]}])
            kinds = [event.type for event, _ in zip(events, range(8))]
            if "message_stop" not in kinds:
                break
        server.process.terminate()
        with raises(anthropic.APIError):
            for _ in events:
                pass


@scenario
def cancel():
    needs("/v1/messages")

    def begin():
        with client.messages.create(model=MODEL, max_tokens=2000, stream=True, extra_body={"temperature": LONG["temperature"]},
                                    messages=[{"role": "user", "content": LONG["prompt"]}]) as events:
            for _, _ in zip(range(6), events):
                pass
    check_cancel(begin)


run()
