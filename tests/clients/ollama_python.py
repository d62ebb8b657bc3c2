"""The `ollama` package for Python."""
import json

import ollama
from scenario import (CALL, FULL_TOOL, KEY, LONG, MODEL, PICTURE, TEXT, TOO_LONG, URL, check_cancel, equal, needs, raises,
                      run, scenario)

client = ollama.Client(host=URL, headers={"Authorization": "Bearer " + KEY}, timeout=60)
GREEDY = {"temperature": 0}


def ask(content, **more):
    needs("/api/chat")
    more.setdefault("options", GREEDY)
    images = {"images": more.pop("images")} if "images" in more else {}
    return client.chat(model=MODEL, messages=[{"role": "user", "content": content, **images}], **more)


@scenario
def models():
    needs("/api/chat")
    listed = client.list().models
    equal(len(listed), 1)
    shown = client.show(listed[0].model)
    assert "completion" in shown.capabilities, shown
    assert client.ps().models


@scenario
def text():
    answer = ask(TEXT["prompt"])
    equal((answer.message.content, answer.done, answer.done_reason), (TEXT["answer"], True, "stop"))
    assert answer.eval_count > 2 and answer.prompt_eval_count > 10, answer
    generated = client.generate(model=MODEL, prompt=TEXT["prompt"], options=GREEDY)
    equal(generated.response, TEXT["answer"])
    equal(ask(TEXT["prompt"], options={"temperature": 0, "num_predict": 2}).done_reason, "length")


@scenario
def stream():
    pieces = list(ask(TEXT["prompt"], stream=True))
    equal("".join(piece.message.content or "" for piece in pieces), TEXT["answer"])
    equal([piece.done for piece in pieces[-2:]], [False, True])
    pieces = list(client.generate(model=MODEL, prompt=TEXT["prompt"], options=GREEDY, stream=True))
    equal("".join(piece.response or "" for piece in pieces), TEXT["answer"])


@scenario
def tools():
    """Chick calls by itself where no tool is declared; the second turn has the declaration."""
    first = ask(CALL["prompt"])
    call = first.message.tool_calls[0].function
    equal((call.name, call.arguments["amount"]), (CALL["name"], CALL["amount"]))
    second = client.chat(model=MODEL, tools=[FULL_TOOL], options={"temperature": 0, "num_predict": 20}, messages=[
        {"role": "user", "content": CALL["prompt"]}, first.message,
        {"role": "tool", "tool_name": "timer", "content": "the timer runs"}])
    assert second.done and second.message.role == "assistant"


@scenario
def schema():
    needs("/api/chat", "response_format")
    wanted = {"type": "object", "properties": {"many": {"type": "boolean"}}, "required": ["many"]}
    assert isinstance(json.loads(ask("how many", format=wanted).message.content)["many"], bool)


@scenario
def picture():
    answer = ask(PICTURE["prompt"], images=[PICTURE["base64"]])
    assert answer.prompt_eval_count > 60, answer


@scenario
def embeddings():
    needs("/v1/embeddings", "/api/chat")
    answer = client.embed(model=MODEL, input=["hello", "turn off the light"])
    assert len(answer.embeddings) == 2 and len(answer.embeddings[0]) > 16


@scenario
def errors():
    with raises(ollama.ResponseError, "context", "4096"):
        ask(TOO_LONG)
    with raises(ollama.ResponseError, "temperature"):
        ask("hello", options={"temperature": 1000})
    with raises(ollama.ResponseError, "key"):
        ollama.Client(host=URL, headers={"Authorization": "Bearer wrong"}).chat(
            model=MODEL, messages=[{"role": "user", "content": "hello"}])


@scenario
def cancel():
    def begin():
        pieces = ask(LONG["prompt"], options={"temperature": LONG["temperature"], "seed": LONG["seed"]}, stream=True)
        for _, _ in zip(range(3), pieces):
            pass
        pieces.close()
    needs("/api/chat")
    check_cancel(begin)


run()
