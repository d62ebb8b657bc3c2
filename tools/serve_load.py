#!/usr/bin/env python3
"""Many clients at once on a server that speaks OpenAI's protocol: are answers those that each request gets alone, and how
fast do they come?

    tools/serve_load.py check   [--linnet build/release/linnet] [--clients 16] [--seconds 600] [--seed N]
    tools/serve_load.py measure [--server NAME=http://127.0.0.1:PORT ...] [--levels 1,4,16] [--seconds 30] [--rounds 2]
    tools/serve_load.py gap     [--server NAME=http://127.0.0.1:PORT ...] [--streams 4] [--prompt 4096]

check starts `linnet serve` with Chick, asks every request of a pool alone, then lets clients ask them over and over, with
pictures, sounds, tools, seeds, and some that hang up before, during or without a goodbye. What differs in a byte from the
answer alone is an error, and so is memory or a number of file descriptors that grows after a warm-up.

measure asks for answers of a fixed length behind a shared system prompt of about 2,000 tokens, with prompts of mixed length,
at several numbers of clients, and prints throughput, time to the first token, and the longest gap between two pieces. Several
servers take turns, and their figures are told as ratios to the first one's. gap tells what the streams of others notice of a
long prompt. Without --server both start `linnet serve` (--linnet, --model). Standard library only.
"""
import argparse
import asyncio
import base64
import collections
import json
import os
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"


class Server:
    """One that runs already, or `linnet serve` on a free port."""

    def __init__(self, name, url=None, command=None):
        self.name, self.process, self.output = name, None, []
        if command:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in self.process.stdout:
                self.output.append(line)
                if found := re.search(r"serving \S+ at (http://\S+?),", line):
                    url = found.group(1)
                    break
            else:
                raise SystemExit("the server did not start:\n" + "".join(self.output))
            threading.Thread(target=lambda: self.output.extend(self.process.stdout), daemon=True).start()
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or 80

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        """The exit code of one that was started here."""
        if not self.process:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Answer:
    def __init__(self):
        self.status, self.type, self.body, self.times = 0, "", b"", []

    def events(self):
        return [json.loads(line[6:]) for line in self.body.split(b"\n") if line.startswith(b"data: {")]

    def text(self):
        """What of it a model has written: not ids, times, or what was known already."""
        def clean(value):
            if isinstance(value, dict):
                return {k: clean(v) for k, v in value.items()
                        if k not in ("id", "created", "cached_tokens", "prompt_tokens_details")}
            return [clean(v) for v in value] if isinstance(value, list) else value
        if self.type.startswith("text/event-stream"):
            return self.joined()
        return json.dumps([self.status, clean(json.loads(self.body or b"null"))], sort_keys=True)

    def joined(self):
        """A stream put together: by choice what was thought, said and called, and how it ended."""
        choices = collections.defaultdict(lambda: collections.defaultdict(str))
        for event in self.events():
            if "error" in event:
                choices[-1]["error"] += json.dumps(event["error"])
            for choice in event.get("choices", []):
                into, delta = choices[choice["index"]], choice.get("delta") or {"text": choice.get("text")}
                for name in ("reasoning_content", "content", "text"):
                    into[name] += delta.get(name) or ""
                for call in delta.get("tool_calls") or []:
                    into["calls"] += json.dumps([call["index"], call["function"]])
                if choice.get("logprobs"):
                    into["logprobs"] += json.dumps(choice["logprobs"], sort_keys=True)
                into["finish"] += choice.get("finish_reason") or ""
        ended = self.body.endswith(b"data: [DONE]\n\n")
        return json.dumps({"choices": choices, "ended": ended}, sort_keys=True)

    def tokens(self):
        usages = [event["usage"] for event in self.events() if event.get("usage")]
        return usages[-1]["completion_tokens"] if usages else len(self.times)

    def prompt_tokens(self):
        usages = [event["usage"] for event in self.events() if event.get("usage")]
        return usages[-1]["prompt_tokens"] if usages else 0


def request_of(path, body, server):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n").encode() + data


async def ask(server, path, body, pieces=None, how="close"):
    """The answer; after so many pieces of it the client hangs up, where told so by `how`: with a goodbye or a reset."""
    answer = Answer()
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=1 << 24)
    try:
        data = request_of(path, body, server)
        if how == "half":  # not even the request is whole
            writer.write(data[:random.randrange(1, len(data))])
            await writer.drain()
            return answer
        writer.write(data)
        await writer.drain()
        if pieces == 0:
            await asyncio.sleep(random.random() * 0.2)
            return answer
        answer.status = int((await reader.readline()).split()[1])
        chunked, length = False, None
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "content-type":
                answer.type = value.strip()
            chunked = chunked or name.lower() == "transfer-encoding"
            length = int(value) if name.lower() == "content-length" else length
        if not chunked:
            answer.body = await (reader.read() if length is None else reader.readexactly(length))
            answer.times.append(time.monotonic())
            return answer
        while size := int((await reader.readline()).split(b";")[0], 16):
            piece = await reader.readexactly(size + 2)
            answer.body += piece[:-2]
            if b"data: {" in piece:
                answer.times.append(time.monotonic())
            if pieces is not None and len(answer.times) >= pieces:
                return answer
        await reader.readline()
        return answer
    finally:
        if how == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


# --- check ---


def base64_of(*names):
    with open(os.path.join(ROOT, *names), "rb") as file:
        return base64.b64encode(file.read()).decode()


def pool_of(rng, count, knows):
    """Requests of all kinds; Chick's world, and nonsense at a high temperature, which is long."""
    with open(os.path.join(ROOT, "models", "chick", "expected.jsonl"), encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    system = " ".join(rng.choice(["one", "two", "turn off the lamp", "red circle", "in paris"]) for _ in range(500))
    tools = [{"type": "function", "function": {"name": "timer"}}]
    requests = []
    for number in range(count):
        case = rng.choice(cases)
        content = [{"type": "text", "text": case["prompt"]}]
        if "image" in case:
            url = "data:image/png;base64," + base64_of("models", "chick", case["image"])
            content.insert(0, {"type": "image_url", "image_url": {"url": url, "detail": rng.choice(["low", "auto"])}})
        if "audio" in case:
            data = base64_of("models", "chick", case["audio"])
            content.append({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
        body = {"messages": [{"role": "user", "content": content}], "seed": number,
                "temperature": rng.choice([0, 1, 1, 100]), "stream": rng.random() < 0.8,
                "max_tokens": rng.choice([10, 50, 200, 400])}
        if rng.random() < 0.4:
            body["messages"].insert(0, {"role": "system", "content": system})
        if rng.random() < 0.3:
            body["tools"] = tools
        if rng.random() < 0.1:
            body["n"] = 2
        if rng.random() < 0.2:
            body["reasoning_effort"] = "high"
        if rng.random() < 0.2:
            body["stop"] = [rng.choice(["a", "th", "ing", " "])]
        if "logprobs" in knows and rng.random() < 0.2:
            body.update({"logprobs": True, "top_logprobs": 3})
        if "response_format" in knows and rng.random() < 0.2:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "a", "schema": {
                "type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "yes"]}}, "required": ["a"]}}}
        if rng.random() < 0.1:
            requests.append((PLAIN, {"prompt": case["prompt"], "seed": number, "temperature": 1, "max_tokens": 100,
                                     "stream": body["stream"]}))
        else:
            requests.append((CHAT, body))
    return requests


class Check:
    def __init__(self, server, pool, rng):
        self.server, self.pool, self.rng = server, pool, rng
        self.alone, self.wrong, self.counts, self.samples = [], collections.Counter(), collections.Counter(), []

    async def ask_alone(self):
        for path, body in self.pool:
            self.alone.append((await ask(self.server, path, body)).text())

    async def one(self):
        number = self.rng.randrange(len(self.pool))
        path, body = self.pool[number]
        fate = self.rng.random()
        how = "close" if fate < 0.85 else "reset" if fate < 0.95 else "half"
        pieces = None if fate < 0.7 else self.rng.randrange(0, 12)
        try:
            answer = await ask(self.server, path, body, pieces, how)
        except (OSError, asyncio.IncompleteReadError, IndexError, ValueError) as error:
            self.wrong[f"request {number}: {type(error).__name__}: {error}"] += 1
            return
        if pieces is not None or how == "half":
            self.counts["left"] += 1
        elif answer.status == 429:
            self.counts["429"] += 1
            await asyncio.sleep(0.2)
        elif answer.text() == self.alone[number]:
            self.counts["same"] += 1
        else:
            self.wrong[f"request {number} ({json.dumps(body)[:150]}…): {answer.text()[:200]} instead of "
                       f"{self.alone[number][:200]}"] += 1

    async def run(self, clients, seconds):
        end = time.monotonic() + seconds

        async def client():
            while time.monotonic() < end:
                await self.one()

        async def sample():
            while time.monotonic() < end:
                self.samples.append((self.server.resident(), self.server.descriptors()))
                await asyncio.sleep(1)
        await asyncio.gather(sample(), *(client() for _ in range(clients)))


async def knows(server):
    """What of the newer parts of the protocol it can do."""
    found = set()
    for name, more in {"logprobs": {"logprobs": True}, "response_format": {"response_format": {
            "type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}}}.items():
        answer = await ask(server, CHAT, {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, **more})
        if answer.status == 200:
            found.add(name)
    return found


def grown(values):
    """From the first third after a quarter of warm-up to the last third, as a share."""
    values = values[len(values) // 4:]
    third = max(1, len(values) // 3)
    first, last = statistics.mean(values[:third]), statistics.mean(values[-third:])
    return last / first - 1


def check(args):
    # The store of prefixes grows to its cap; a small one has got there when the warm-up is over.
    server = Server("linnet", command=[args.linnet, "serve", *([args.model] if args.model else []), "--port", "0", "--log",
                                       "none", "--cache-ram", "32M"])
    rng = random.Random(args.seed)
    can = asyncio.run(knows(server))
    checked = Check(server, pool_of(rng, args.pool, can), rng)
    files = server.descriptors()
    asyncio.run(checked.ask_alone())
    print(f"{len(checked.alone)} requests were asked alone; {args.clients} clients for {args.seconds:.0f} s", flush=True)
    asyncio.run(checked.run(args.clients, args.seconds))
    wrong, counts = checked.wrong, checked.counts
    until = time.monotonic() + 30
    while server.descriptors() > files and time.monotonic() < until:
        time.sleep(0.1)
    if server.descriptors() > files:
        wrong[f"the server keeps {server.descriptors()} file descriptors of {files} before"] += 1
    again = Check(server, checked.pool, rng)
    asyncio.run(again.ask_alone())
    wrong.update(f"request {i} alone afterwards differs from alone before" for i, (a, b) in
                 enumerate(zip(checked.alone, again.alone)) if a != b)
    memory, share = [m for m, _ in checked.samples], grown([m for m, _ in checked.samples])
    print(f"{counts['same']} answers are those alone, {sum(wrong.values())} differ or failed; {counts['left']} clients left, "
          f"{counts['429']} were told to come again")
    print(f"memory {memory[0]:.1f} MB at first, {max(memory):.1f} at most, {memory[-1]:.1f} at last: {100 * share:+.2f} % after "
          f"the warm-up; file descriptors {files}, at most {max(f for _, f in checked.samples)}, then {server.descriptors()}")
    if args.seconds >= 60 and abs(share) > 0.01:
        wrong["memory changes by more than 1 % after the warm-up"] += 1
    if code := server.stop():
        wrong[f"the server's exit code is {code}: " + "".join(server.output[-5:])] += 1
    for line, times in wrong.most_common(20):
        print(f"WRONG: {line}" + (f" ({times} times)" if times > 1 else ""))
    return 1 if wrong else 0


# --- measure, gap ---

WORDS = "the lamp in the garden is on and music plays while a red circle stands beside two blue squares".split()


def words(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count))


async def words_per_token(server, more):
    """So that prompts have the tokens they should have with any vocabulary."""
    text = words(random.Random(0), 400)
    base, long = [(await ask(server, CHAT, {"messages": [{"role": "user", "content": t}], "max_tokens": 1, "stream": True,
                                            "stream_options": {"include_usage": True}, **more})).prompt_tokens()
                  for t in ("", text)]
    return 400 / max(1, long - base)


def stream_body(prompt, tokens, more, system=None):
    messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": prompt}]
    return {"messages": messages, "max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}, **more}


async def level(server, clients, args, seed):
    """Throughput, times to the first token and the longest gap of each stream."""
    rate = await words_per_token(server, args.more)
    system = words(random.Random(1), int(args.system * rate))
    tokens, firsts, gaps = [], [], []
    begin, end = time.monotonic(), time.monotonic() + args.seconds

    async def client(rng):
        while time.monotonic() < end:
            prompt = words(rng, int(rng.choice([20, 100, 400]) * rate))
            asked = time.monotonic()
            answer = await ask(server, CHAT, stream_body(prompt, args.tokens, {"seed": rng.randrange(1 << 30), **args.more}, system))
            if answer.status != 200 or len(answer.times) < 2:
                raise SystemExit(f"{server.name} answers {answer.status}: {answer.body[:300]!r}")
            tokens.append((answer.tokens(), answer.times[-1]))
            firsts.append(answer.times[0] - asked)
            gaps.append(max((b - a for a, b in zip(answer.times, answer.times[1:])), default=0))
    await asyncio.gather(*(client(random.Random(100 * seed + i)) for i in range(clients)))
    seconds = max(at for _, at in tokens) - begin
    return {"tokens a second": sum(n for n, _ in tokens) / seconds, "first token, ms": 1000 * statistics.median(firsts),
            "longest gap, ms": 1000 * max(gaps), "median longest gap, ms": 1000 * statistics.median(gaps), "answers": len(tokens)}


def servers_of(args):
    if not args.server:
        return [Server("linnet", command=[args.linnet, "serve", *([args.model] if args.model else []), "--port", "0", "--log",
                                          "none", "--parallel", str(args.parallel)])]
    return [Server(*one.split("=", 1)) for one in args.server]


def measure(args):
    servers = servers_of(args)
    for clients in map(int, args.levels.split(",")):
        rows = collections.defaultdict(list)
        for round_of in range(args.rounds):
            for server in servers:
                rows[server.name].append(asyncio.run(level(server, clients, args, round_of)))
        print(f"{clients} client{'s' if clients > 1 else ''}", flush=True)
        first = None
        for name, found in rows.items():
            row = {key: statistics.median(one[key] for one in found) for key in found[0]}
            first = first or row
            ratios = "" if first is row else "; first / this: " + ", ".join(
                f"{key} {first[key] / row[key]:.2f}" for key in row if key != "answers" and row[key])
            print(f"  {name}: " + ", ".join(f"{key} {value:.1f}" for key, value in row.items()) + ratios, flush=True)
    return max(server.stop() for server in servers)


async def gaps_beside(server, args):
    """Of each stream: the median gap without the prompt of somebody else, the longest with it."""
    rate = await words_per_token(server, args.more)
    rng = random.Random(args.seed)

    async def streams():
        return await asyncio.gather(*(ask(server, CHAT, stream_body(words(random.Random(i), 20), args.tokens,
                                                                    {"seed": i, **args.more})) for i in range(args.streams)))

    def gaps(answer):
        return [b - a for a, b in zip(answer.times, answer.times[1:])]
    usual = [statistics.median(gaps(a)) for a in await streams()]
    running = asyncio.ensure_future(streams())
    await asyncio.sleep(args.after)
    begin = time.monotonic()
    prompt = words(rng, int(args.prompt * rate))
    if args.picture:
        with open(args.picture, "rb") as file:
            address = "data:image/png;base64," + base64.b64encode(file.read()).decode()
        prompt = [{"type": "image_url", "image_url": {"url": address, "detail": "high"}}, {"type": "text", "text": prompt}]
    await ask(server, CHAT, stream_body(prompt, 1, args.more))
    read = time.monotonic() - begin
    beside = await running
    return [{"median": 1000 * u, "longest": 1000 * max(gaps(a)), "ratio": max(gaps(a)) / u} for u, a in zip(usual, beside)], read


def gap(args):
    servers = servers_of(args)
    for server in servers:
        rows, read = asyncio.run(gaps_beside(server, args))
        print(f"{server.name}: a prompt of {args.prompt} tokens is read in {read:.2f} s beside {args.streams} streams")
        for row in rows:
            print(f"  median gap alone {row['median']:.1f} ms, longest beside the prompt {row['longest']:.1f} ms: {row['ratio']:.2f} times")
    return max(server.stop() for server in servers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "measure", "gap"])
    parser.add_argument("--linnet", default=os.path.join(ROOT, "build", "release", "linnet"))
    parser.add_argument("--model", help="what it serves; Chick if none is named")
    parser.add_argument("--seconds", type=float, help="check: 600; measure: 30 for each level")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=16, help="check: how many at once")
    parser.add_argument("--pool", type=int, default=80, help="check: how many different requests")
    parser.add_argument("--server", action="append", help="measure, gap: one that runs already, NAME=ADDRESS")
    parser.add_argument("--parallel", type=int, default=16, help="measure, gap: --parallel of a server that is started")
    parser.add_argument("--levels", default="1,4,16", help="measure: how many clients at once")
    parser.add_argument("--rounds", type=int, default=1, help="measure: how often each server is asked at each level")
    parser.add_argument("--system", type=int, default=2000, help="measure: tokens of the shared system prompt")
    parser.add_argument("--tokens", type=int, default=128, help="measure, gap: tokens of an answer")
    parser.add_argument("--streams", type=int, default=4, help="gap: how many at once")
    parser.add_argument("--prompt", type=int, default=4096, help="gap: tokens of the prompt that is read beside them")
    parser.add_argument("--picture", metavar="FILE", help="gap: and this one at its largest budget")
    parser.add_argument("--after", type=float, default=1, help="gap: seconds before it comes")
    parser.add_argument("--more", type=json.loads, default={}, metavar="JSON",
                        help='members of every request, as {"ignore_eos": true}, so that answers have the length asked for')
    args = parser.parse_args()
    args.seconds = args.seconds or (600 if args.what == "check" else 30)
    return {"check": check, "measure": measure, "gap": gap}[args.what](args)


if __name__ == "__main__":
    sys.exit(main())
