"""`instructor`: models of Pydantic from answers, by a tool that must be called, by a schema, by JSON alone."""
from typing import Literal

import instructor
import openai
from pydantic import BaseModel
from scenario import KEY, LONG, MODEL, PICTURE, URL, check_cancel, needs, raises, run, scenario


class Shape(BaseModel):
    # Where further members may come Chick, which knows no JSON, goes on with them.
    model_config = {"extra": "forbid"}
    colour: Literal["red", "green", "blue"]
    many: bool


def client(mode):
    inner = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)
    return instructor.from_openai(inner, mode=mode)


def ask(mode, content="what is in the picture", **more):
    more.setdefault("temperature", 0)
    return client(mode).chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": content}], response_model=Shape, max_retries=0, **more)


@scenario
def tools():
    needs("tool_choice")
    assert isinstance(ask(instructor.Mode.TOOLS), Shape)


@scenario
def schema():
    needs("response_format")
    assert isinstance(ask(instructor.Mode.JSON_SCHEMA), Shape)


@scenario
def stream():
    needs("tool_choice")
    shapes = list(client(instructor.Mode.TOOLS).chat.completions.create_partial(
        model=MODEL, messages=[{"role": "user", "content": "what is in the picture"}], response_model=Shape,
        temperature=0))
    assert isinstance(shapes[-1].many, bool), shapes


@scenario
def picture():
    needs("response_format")
    content = [{"type": "image_url", "image_url": {"url": PICTURE["url"], "detail": "low"}},
               {"type": "text", "text": PICTURE["prompt"]}]
    assert isinstance(ask(instructor.Mode.JSON_SCHEMA, content), Shape)


@scenario
def text_that_is_no_json():
    """Without any constraint Chick's answer is no JSON, and the client says so."""
    with raises(Exception, "validation error"):
        ask(instructor.Mode.MD_JSON)


@scenario
def errors():
    with raises(Exception, "temperature"):
        ask(instructor.Mode.MD_JSON, temperature=1000)


@scenario
def cancel():
    def begin():
        inner = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)
        pieces = instructor.from_openai(inner, mode=instructor.Mode.MD_JSON).chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": LONG["prompt"]}], response_model=None, stream=True,
            temperature=LONG["temperature"], seed=LONG["seed"])
        for _, _ in zip(range(3), pieces):
            pass
        pieces.close()
    check_cancel(begin)


run()
