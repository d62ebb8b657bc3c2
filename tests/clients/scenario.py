"""What the scripts of the clients in Python share: what Chick answers, the server they talk to, and how a scenario tells
what came of it. run.py starts them."""
import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
URL, KEY = os.environ["LINNET_URL"], os.environ["LINNET_KEY"]
# What the server cannot do yet, by name, with its own words; run.py asks it.
MISSING = json.loads(os.environ.get("LINNET_MISSING", "{}"))
MODEL = "whatever"  # any name is answered


def _chick(name):
    chick = os.path.join(ROOT, "models", "chick")
    with open(os.path.join(chick, "expected.jsonl"), encoding="utf-8") as file:
        case = next(c for c in map(json.loads, file) if c["id"] == name)
    for kind in ("image", "audio"):
        if kind in case:
            with open(os.path.join(chick, case[kind]), "rb") as file:
                case["base64"] = base64.b64encode(file.read()).decode()
    return case


TEXT, PICTURE, SOUND = _chick("text-003"), _chick("see-000"), _chick("hear-002")
PICTURE["url"] = "data:image/png;base64," + PICTURE["base64"]
# Chick calls a tool that is declared by its name alone.
CALL = {"prompt": "Use a tool. set a timer for 8 minutes", "name": "timer", "amount": 8}
TOOL = {"type": "function", "function": {"name": "timer"}}
# As most clients declare one. Chick calls it where it must.
FULL_TOOL = {
    "type": "function",
    "function": {
        "name": "timer",
        "description": "Sets a timer.",
        "parameters": {
            "type": "object",
            "properties": {"amount": {"type": "integer"}, "unit": {"type": "string", "enum": ["minutes", "hours"]}},
            "required": ["amount", "unit"],
        },
    },
}
# More than the context holds.
TOO_LONG = "one two three " * 4000
# What makes Chick write nonsense for long.
LONG = {"prompt": "hello", "temperature": 100, "seed": 1}


class NotYet(Exception):
    """The server says that it cannot do this."""


def needs(*names):
    for name in names:
        if name in MISSING:
            raise NotYet(name)


def equal(found, wanted, what="answer"):
    assert found == wanted, f"{what}: {found!r} instead of {wanted!r}"


@contextlib.contextmanager
def raises(kind, *words):
    """What is done inside ends with this error of the client, which has these words."""
    try:
        yield
    except kind as error:
        for word in words:
            assert word in str(error), f"the error does not say {word!r}: {error}"
    else:
        raise AssertionError(f"there was no {kind.__name__}")


def metric(name):
    request = urllib.request.Request(URL + "/metrics", headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found.group(1)) if found else 0.0


def check_cancel(begin):
    """`begin` starts a long stream, takes a few pieces of it and hangs up; the server must stop writing."""
    cancelled = 'linnet_answers_total{kind="cancelled"}'
    for _ in range(20):  # without a seed an answer may be over already
        before = metric(cancelled)
        begin()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if metric(cancelled) > before:
                equal(metric('linnet_answers{state="writing"}'), 0.0, "answers that are still written")
                return
            if metric('linnet_answers{state="writing"}') == 0 and metric('linnet_answers{state="reading"}') == 0:
                time.sleep(0.2)
                if metric(cancelled) == before:
                    break  # it had ended
            time.sleep(0.05)
        else:
            raise AssertionError("the answer is still written five seconds after the client hung up")
    raise AssertionError("no answer was long enough to be cancelled")


class OwnServer:
    """A server that a scenario may stop."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [os.environ["LINNET_PROGRAM"], "serve", *options, "--port", "0", "--grace", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "LINNET_API_KEY": KEY})
        for line in self.process.stdout:
            found = re.search(r"serving \S+ at (http://\S+?),", line)
            if found:
                self.url = found.group(1)
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


_scenarios = []


def scenario(function):
    _scenarios.append(function)
    return function


def run():
    """Runs all of them, or those that are named, and tells a line of JSON for each."""
    for function in _scenarios:
        if len(sys.argv) > 1 and function.__name__ not in sys.argv[1:]:
            continue
        begin, how, why = time.monotonic(), "ok", ""
        try:
            why = function() or ""
        except NotYet as missing:
            how, why = "not yet", str(missing)
        except BaseException as error:  # pylint: disable=broad-except
            how, why = "FAILED", f"{type(error).__name__}: {error}"
            traceback.print_exc()
        result = {"scenario": function.__name__, "how": how, "why": why, "seconds": time.monotonic() - begin}
        print(json.dumps(result), flush=True)
