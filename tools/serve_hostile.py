#!/usr/bin/env python3
"""Sends `linnet serve` what no honest client sends, while one honest client reads a stream: sizes, encodings, nested JSON,
broken media, slow bodies, requests hidden in others, connections that trickle and idle.

    tools/serve_hostile.py [--linnet build/release/linnet] [--requests 10000] [--seed N] [--timed] [--serve='MODEL -t 1' --tokens 40]

What must hold: the honest stream has the bytes it has alone, /health answers all the time, no status is 5xx but 503, no
hidden request is answered, the server neither ends nor keeps a file descriptor, and stops with exit code 0. With --timed
the longest gap of the honest stream must also stay below twice its usual one and /health within a second; without it
these are only told, since a machine that does other work as well would decide them.
"""
import argparse
import asyncio
import base64
import collections
import json
import os
import random
import re
import resource
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOST = "127.0.0.1"
MAX_BODY = 1 << 20
TRICKLING, IDLE, AT_ONCE = 64, 500, 32
CHAT = "/v1/chat/completions"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"  # would be answered with 404
GOOD = {"messages": [{"role": "user", "content": "hello"}], "temperature": 100, "seed": 1, "stream": True}


def head(method="POST", path=CHAT, fields=(), host=True, version="HTTP/1.1"):
    lines = [f"{method} {path} {version}"]
    if host:
        lines.append("Host: localhost")
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(body, path=CHAT, fields=()):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head("POST", path, [("Content-Type", "application/json"), ("Content-Length", len(body)), *fields]) + body


def chat(content, **more):
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 4, "temperature": 0, **more}


# What is sent, and what may come back: statuses of the first answer, and how many answers at most. Status 0 stands for a
# connection that is closed without an answer.
Attack = collections.namedtuple("Attack", "kind data statuses answers")
REFUSED = {0, 400, 413, 431}


def sizes(rng):
    size = rng.choice([60_000, 65_536, 66_000, 200_000, 2_000_000])
    yield Attack("long field", head(fields=[("X-Long", "a" * size)]), REFUSED | {415}, 1)
    yield Attack("long path", head("GET", "/" + "a" * size), REFUSED | {404, 414}, 1)
    yield Attack("many fields", head("GET", "/health", [(f"X-{i}", "y") for i in range(size // 10)]), REFUSED | {200}, 1)
    for length in ("-1", "+5", "0x10", "5 5", "", "5,5", "1e3", "18446744073709551616", "9" * 40, "\u0665"):
        data = head(fields=[("Content-Type", "application/json"), ("Content-Length", length)]) if length.isascii() else (
            b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: \xd9\xa5\r\n\r\n")
        yield Attack(f"length {length[:20]!r}", data + b"{}" + HIDDEN, REFUSED, 1)
    yield Attack("length of a terabyte", head(fields=[("Content-Type", "application/json"),
                                                      ("Content-Length", 1 << 40)]) + b"{", {413}, 1)
    yield Attack("too large a body", post(b" " * (MAX_BODY + 1)), {0, 413}, 1)
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    yield Attack("too many chunks", head(fields=[("Content-Type", "application/json"),
                                                 ("Transfer-Encoding", "chunked")]) + chunk * 20, {0, 413}, 1)
    yield Attack("largest body", post(b" " * (MAX_BODY - 2) + b"{}"), {400}, 1)
    yield Attack("long prompt", post(chat("one two " * rng.randrange(5_000, 100_000))), {400}, 1)
    yield Attack("long stop", post(chat("hello", stop=["a" * 100_000])), {200, 400}, 1)
    yield Attack("many messages", post({"messages": [{"role": "user", "content": "a"}] * 20_000}), {400}, 1)
    yield Attack("many choices", post(chat("hello", n=10 ** rng.randrange(2, 20))), {400}, 1)
    yield Attack("many tools", post(chat("hello", tools=[{"type": "function", "function": {"name": f"f{i}"}}
                                                         for i in range(5_000)])), {400}, 1)


def encodings(rng):
    text = '{"messages":[{"role":"user","content":"%s"}],"max_tokens":2,"temperature":0}'
    good = (text % "hi").encode()
    for name in ("utf-16", "utf-32", "utf-16-le"):
        yield Attack("body in " + name, post((text % "hi").encode(name)), {400}, 1)
    yield Attack("byte order mark", post(b"\xef\xbb\xbf" + good), {200, 400}, 1)
    for raw in (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\x80", b"\xf0\x9f\x98"):
        yield Attack(f"text {raw!r}", post((text % "@").encode().replace(b"@", raw)), {200, 400}, 1)
    for escape in ("\\ud800", "\\udc00\\ud800", "\\u0000", "\\x41", "\\ud83d\\ude00", "<|turn>", "<eos>"):
        yield Attack(f"text {escape}", post((text % escape).encode()), {200, 400}, 1)
    yield Attack("encoded body", post(good, fields=[("Content-Encoding", rng.choice(["gzip", "br", "deflate"]))]),
                 {200, 400, 415}, 1)
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", "\xff"):
        yield Attack("another type", head(fields=[("Content-Type", kind), ("Content-Length", 2)]) + b"{}", {400, 415}, 1)
    yield Attack("cut JSON", post(good[:rng.randrange(len(good))]), {400}, 1)
    flipped = bytearray(good)
    for _ in range(rng.randrange(1, 6)):
        flipped[rng.randrange(len(flipped))] = rng.randrange(256)
    yield Attack("flipped JSON", post(bytes(flipped)), {200, 400}, 1)
    yield Attack("expected", post(good, fields=[("Expect", "100-continue")]), {100, 200}, 2)
    yield Attack("strange expectation", post(good, fields=[("Expect", "200-ok")]), {200, 400, 417}, 1)


def nested(rng):
    for deep in (100, 1000, 100_000):
        yield Attack("nested lists", post(b'{"messages":' + b"[" * deep + b"]" * deep + b"}"), {400}, 1)
        yield Attack("nested objects", post(b'{"a":' * deep + b"1" + b"}" * deep), {400}, 1)
        yield Attack("open lists", post(b"[" * deep), {400}, 1)
        properties = b'{"type":"object","properties":{"a":' * deep + b"{}" + b"}}" * deep
        yield Attack("nested tool", post(b'{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"tools":[{"type":'
                                         b'"function","function":{"name":"f","parameters":' + properties + b"}}]}"),
                     {200, 400, 413}, 1)
    yield Attack("many values", post(b"[" + b"1," * 500_000 + b"1]"), {400}, 1)
    yield Attack("many names", post(b"{" + b",".join(b'"%d":0' % i for i in range(50_000)) + b"}"), {400}, 1)
    yield Attack("one name often", post(b"{" + b'"messages":[],' * 10_000 + b'"a":1}'), {400}, 1)
    for number in ("1e999", "-1e999", "1" * 400, "0.1e-999", "-0", "01", "+1", "NaN", "Infinity", "1e", "18446744073709551615"):
        name = rng.choice(["temperature", "seed", "max_tokens", "top_p", "top_k", "n"])
        yield Attack(f"{name} {number[:20]}", post(
            b'{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"%s":%s}' % (name.encode(), number.encode())),
                     {200, 400}, 1)


VALUES = [None, True, False, 0, -1, 1.5, 10 ** 30, "", "a", "\u0000", [], [[]], [None], {}, {"a": None}, {"type": "text"}, [{}],
          "auto", "none", "required", ["a", 1]]
NAMES = ["messages", "model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "n",
         "tools", "tool_choice", "logprobs", "top_logprobs", "logit_bias", "response_format", "reasoning_effort", "reasoning",
         "chat_template_kwargs", "parallel_tool_calls", "presence_penalty", "user", "metadata", "prompt", "suffix", "echo",
         "best_of", "functions", "function_call"]
PARTS = ["role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content", "refusal", "audio"]


def fields(rng):
    """Members of any type where another is wanted, one to three at a time."""
    for _ in range(12):
        body = chat("hello")
        for _ in range(rng.randrange(1, 4)):
            if rng.random() < 0.7:
                body[rng.choice(NAMES)] = rng.choice(VALUES)
            elif isinstance(body.get("messages"), list) and body["messages"] and isinstance(body["messages"][0], dict):
                body["messages"][0][rng.choice(PARTS)] = rng.choice(VALUES)
        # A member that was set to nothing may leave the answer as long as it likes.
        body["max_tokens"] = rng.choice([1, 3, body.get("max_tokens")])
        if not isinstance(body["max_tokens"], int) or isinstance(body["max_tokens"], bool) or body["max_tokens"] > 4:
            body["max_tokens"] = "many"
        path = rng.choice([CHAT, CHAT, "/v1/completions"])
        yield Attack("strange members", post(body, path), {200, 400, 501}, 1)
    for role, content in (("tool", "a"), ("assistant", None), ("system", [{"type": "image_url"}]), ("wizard", "a")):
        yield Attack("strange message", post({"messages": [{"role": role, "content": content}], "max_tokens": 1}),
                     {200, 400}, 1)


def file_of(*names):
    with open(os.path.join(ROOT, *names), "rb") as file:
        return file.read()


MEDIA = {}


def media(rng):
    if not MEDIA:
        data = ("tests", "data", "media")
        MEDIA.update({"image/png": file_of("examples", "shapes.png"), "audio/wav": file_of("examples", "command.wav"),
                      "audio/mpeg": file_of(*data, "tone.mp3"), "video/mp4": file_of(*data, "tiny.mp4"),
                      "image/heic": file_of(*data, "alpha.heic"), "audio/ogg": file_of(*data, "tone.ogg")})
    kind = rng.choice(sorted(MEDIA))
    good = MEDIA[kind]
    flipped = bytearray(good)
    for _ in range(rng.randrange(1, 30)):
        flipped[rng.randrange(len(flipped))] = rng.randrange(256)
    huge = (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 10 ** 5, 10 ** 5, 8, 6, 0, 0, 0)
            + b"\0\0\0\0")
    contents = {"cut": good[:rng.randrange(len(good))], "flipped": bytes(flipped), "noise": rng.randbytes(5000), "empty": b"",
                "huge picture": huge, "another": MEDIA[rng.choice(sorted(MEDIA))], "text": b"<svg onload=1>"}
    name, content = rng.choice(sorted(contents.items()))
    encoded = base64.b64encode(content).decode()
    url = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{encoded}"}}
    yield Attack(f"{name} {kind}", post(chat([url])), {200, 400}, 1)
    yield Attack(f"{name} sound", post(chat([{"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}])),
                 {200, 400}, 1)
    for address in ("file:///etc/passwd", "file:../../etc/passwd", "http://localhost/a.png", "https://[::1]/a", "ftp://a/b",
                    "data:", "data:image/png;base64", "data:image/png;base64,!!!!", "data:image/png;base64,QQ", "data:,a",
                    "/etc/passwd", "", "data:image/png;base64," + "A" * 500_000, "javascript:1"):
        part = rng.choice([{"type": "image_url", "image_url": {"url": address}}, {"type": "image_url", "image_url": address},
                           {"type": "video_url", "video_url": {"url": address}}])
        yield Attack("address " + address[:30], post(chat([part])), {400, 404}, 1)


def smuggling(rng):
    json_field = ("Content-Type", "application/json")
    chunked = b"2\r\n{}\r\n0\r\n\r\n"
    length, encoding = ("Content-Length", len(chunked)), ("Transfer-Encoding", "chunked")
    for pair in ([length, encoding], [encoding, length], [("Content-Length", 4), encoding]):
        yield Attack("length and chunks", head(fields=[json_field, *pair]) + chunked + HIDDEN, {400}, 1)
    for pair in ((2, 2), (2, 50), (0, 2)):
        yield Attack("two lengths", head(fields=[json_field, *(("Content-Length", n) for n in pair)]) + b"{}" + HIDDEN, {400}, 1)
    for value in ("identity", "chunked, identity", "identity, chunked", "gzip, chunked", "xchunked", "chunked;q=1", "chunke",
                  "\x0bchunked", "\"chunked\"", "", ",chunked", "chunked, chunked"):
        yield Attack(f"encoding {value!r}", head(fields=[json_field, ("Transfer-Encoding", value)]) + chunked + HIDDEN, {0, 400}, 1)
    yield Attack("two encodings", head(fields=[json_field, encoding, encoding]) + chunked + HIDDEN, {400}, 1)
    yield Attack("capital encoding", head(fields=[json_field, ("transfer-ENCODING", "ChunKed")]) + chunked + HIDDEN, {400}, 1)
    start = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    for name, rest in (("space before the colon", b"Transfer-Encoding : chunked\r\n\r\n"),
                       ("folded field", b"Transfer-Encoding:\r\n chunked\r\n\r\n"),
                       ("folded name", b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n"),
                       ("bare line feeds", b"Transfer-Encoding: chunked\n\n"),
                       ("bare returns", b"Transfer-Encoding: chunked\r\r"),
                       ("zero in a field", b"Transfer-Encoding: chunked\0\r\n\r\n"),
                       ("zero in a name", b"Transfer-\0Encoding: chunked\r\n\r\n"),
                       ("space at a line's begin", b" Transfer-Encoding: chunked\r\n\r\n"),
                       ("no colon", b"Transfer-Encoding chunked\r\n\r\n"),
                       ("length in a line's middle", b"X: a\rContent-Length: 2\r\n\r\n")):
        # A folded field leaves no body or a whole one, so that nothing hides.
        yield Attack(name, start + rest + chunked + HIDDEN, {0, 400, 413}, 1)
    yield Attack("bare line feeds all over", start.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}" + HIDDEN, {0, 400}, 1)
    yield Attack("1.0 with chunks", head(fields=[json_field, encoding], version="HTTP/1.0") + chunked + HIDDEN, {400}, 1)
    for size in (b"FFFFFFFFFFFFFFFFF", b"8000000000000000", b"FFFFFFFFFFFFFFFE", b"-1", b"0x2", b"+2", b" 2", b"2 ", b"G", b"",
                 b"2;" + b"a" * 100_000, b"00000000000000000000000000000000002"):
        data = head(fields=[json_field, encoding]) + size + b"\r\n{}\r\n0\r\n\r\n" + HIDDEN
        yield Attack(f"chunk size {size[:20]!r}", data, {0, 400, 413}, 1)
    yield Attack("chunk without an end", head(fields=[json_field, encoding]) + b"2\r\n{}XX0\r\n\r\n" + HIDDEN, {0, 400}, 1)
    trailers = b"2\r\n{}\r\n0\r\nContent-Length: 80\r\nHost: a\r\n\r\n"
    yield Attack("trailers", head(fields=[json_field, encoding]) + trailers + HIDDEN, {0, 400}, 1)
    yield Attack("long trailers", head(fields=[json_field, encoding]) + b"0\r\nX: " + b"a" * 300_000 + b"\r\n\r\n" + HIDDEN,
                 {0, 400, 413, 431}, 1)
    yield Attack("body of a GET", head("GET", "/health", [("Content-Length", len(HIDDEN))]) + HIDDEN, {200, 400, 413}, 1)
    yield Attack("body of what is not there", head("POST", "/nowhere", [json_field, ("Content-Length", len(HIDDEN))]) + HIDDEN,
                 {404}, 1)
    yield Attack("chunks to what is not there", head("POST", "/nowhere", [json_field, encoding]) + chunked + HIDDEN, {404}, 1)
    yield Attack("upgrade", head("GET", "/health", [("Upgrade", rng.choice(["h2c", "websocket"])), ("Connection", "Upgrade"),
                                                    ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")]), {200, 400}, 1)


def lines(rng):
    for data in (b"\r\n" * 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /health\r\n\r\n", b"GET  /health HTTP/1.1\r\n\r\n",
                 b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n", b"GET /health HTTP/1.1 \r\nHost: a\r\n\r\n", b"\0" * 500,
                 b"GET /hea\0lth HTTP/1.1\r\nHost: localhost\r\n\r\n", b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
                 b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"X" * 70_000, rng.randbytes(rng.randrange(1, 3000)),
                 b"GET \xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
                 b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
                 b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
                 b"GET /health HTTP/1.1\r\nHost: localhost:99999999999\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: [::1\r\n\r\n"):
        yield Attack(f"line {data[:40]!r}", data, {0, 200, 400, 403, 404, 405, 431}, 1)
    many = rng.randrange(2, 60)
    yield Attack("requests in one piece", head("GET", "/health") * many, {200}, many)


KINDS = [sizes, encodings, nested, fields, media, smuggling, lines]


def attacks(seed):
    """Without end: all kinds over and over, each time with other numbers."""
    rng = random.Random(seed)
    while True:
        one_round = [attack for kind in KINDS for attack in kind(rng)]
        rng.shuffle(one_round)
        yield from one_round


async def read_answer(reader):
    """The status and the body of the next answer; None at the end of the connection."""
    line = await reader.readline()
    if not line:
        return None
    status, length, chunked = int(line.split()[1]), 0, False
    while (field := await reader.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        chunked = chunked or name.lower() == b"transfer-encoding"
    body = b""
    if chunked:
        while size := int((await reader.readline()) or b"0", 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    elif length:
        body = await reader.readexactly(length)
    return status, body


GONE = (ConnectionError, asyncio.IncompleteReadError, OSError)


class Hostile:
    def __init__(self, port, seed):
        self.port, self.rng = port, random.Random(seed)
        self.statuses, self.wrong, self.sent, self.open = collections.Counter(), [], 0, []
        self.last, self.refused = collections.deque(maxlen=2 * AT_ONCE), ""  # what to look at where it no longer answers

    async def connect(self):
        return await asyncio.open_connection(HOST, self.port, limit=1 << 22)

    async def send(self, writer, data, rng):
        """In one piece, in some, or so that the server must put it together."""
        how = rng.random()
        if how < 0.6 or len(data) < 4:
            writer.write(data)
        else:
            cuts = sorted(rng.randrange(1, len(data)) for _ in range(rng.randrange(1, 4)))
            for begin, end in zip([0, *cuts], [*cuts, len(data)]):
                writer.write(data[begin:end])
                await writer.drain()
                await asyncio.sleep(rng.random() * 0.01)
        await writer.drain()

    async def attack(self, attack):
        rng = random.Random(self.rng.random())
        self.sent += 1
        self.last.append(attack)
        try:
            reader, writer = await self.connect()
        except OSError as error:
            self.refused = str(error)
            return
        answers = []
        try:
            if rng.random() < 0.05:  # gone before the answer is there, with or without a goodbye
                await self.send(writer, attack.data, rng)
                if rng.random() < 0.5:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await asyncio.sleep(rng.random() * 0.2)
                self.statuses["left"] += 1
                return
            sending = asyncio.ensure_future(self.send(writer, attack.data, rng))
            try:
                # The first answer may take long; what is hidden would come at once behind it.
                while answer := await asyncio.wait_for(read_answer(reader), 0.15 if answers else 60):
                    answers.append(answer)
                    if attack.answers > 1 and len(answers) == attack.answers and attack.kind != "expected":
                        break
            except asyncio.TimeoutError:
                if not answers:
                    self.wrong.append(f"{attack.kind}: no answer within a minute")
            except GONE:
                pass
            sending.cancel()
            try:
                await sending
            except (asyncio.CancelledError, *GONE):
                pass
        except GONE:
            pass
        finally:
            writer.close()
        self.judge(attack, answers)

    def judge(self, attack, answers):
        statuses = [status for status, _ in answers] or [0]
        self.statuses[statuses[0]] += 1
        for status, body in answers:
            if status >= 500 and status != 503 and not (status == 501 and 501 in attack.statuses):
                self.wrong.append(f"{attack.kind}: status {status}: {body[:200]!r}")
        if statuses[0] not in attack.statuses and statuses[0] not in (429, 503):
            self.wrong.append(f"{attack.kind}: status {statuses[0]} {answers[0][1][:200] if answers else b''!r}, "
                              f"wanted {sorted(attack.statuses)}")
        if len(answers) > attack.answers:
            self.wrong.append(f"{attack.kind}: {len(answers)} answers to one request: {statuses}")

    async def trickle(self, until):
        """A request that never ends, over and over."""
        rng = random.Random(self.rng.random())
        while time.monotonic() < until():
            try:
                _, writer = await self.connect()
                data = head(fields=[("X-Slow", "a" * 5000)])
                if rng.random() < 0.5:
                    data = head(fields=[("Content-Type", "application/json"), ("Content-Length", 100_000)])
                    writer.write(data)
                    data = b" " * 5000
                for byte in data:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.2 + 0.2 * rng.random())
                    if time.monotonic() >= until():
                        break
                writer.close()
            except GONE:
                await asyncio.sleep(0.1)

    async def run(self, count, seconds):
        end = time.monotonic() + seconds
        done = False
        until = lambda: 0 if done else end + 600
        for _ in range(IDLE):
            self.open.append(await self.connect())
        slow = [asyncio.ensure_future(self.trickle(until)) for _ in range(TRICKLING)]
        source = attacks(self.rng.random())

        async def work():
            while self.sent < count and time.monotonic() < end and not self.refused:
                await self.attack(next(source))
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        done = True
        await asyncio.gather(*slow)
        for _, writer in self.open:
            writer.close()


# The honest client, in a process of its own so that nothing but the server keeps it waiting.
def stream_once(port, tokens):
    """What a stream says without what differs by design, and the time of each piece."""
    with socket.create_connection((HOST, port), timeout=120) as connection:
        connection.sendall(post(GOOD | {"max_tokens": tokens}, fields=[("Authorization", "Bearer honest"), ("Connection", "close")]))
        data, times, at = b"", [], time.monotonic()
        while piece := connection.recv(1 << 16):
            now = time.monotonic()
            data += piece
            if b"data: " in piece:
                times.append(now - at)
                at = now
    said = re.sub(rb'"(id|created)":("[^"]*"|\d+)', b"", data.partition(b"\r\n\r\n")[2])
    said = b"".join(re.findall(rb"data: .*?\n\n", said, re.S))
    if not said.endswith(b"data: [DONE]\n\n"):
        return None, times
    return said, times


def watch(port, tokens):
    phase, results = ["alone"], {"wrong": []}
    slowest = collections.defaultdict(float)

    def ask_health():
        while phase[0] != "end":
            now, begin = phase[0], time.monotonic()
            try:
                with socket.create_connection((HOST, port), timeout=30) as connection:
                    connection.sendall(head("GET", "/health", [("Connection", "close")]))
                    if not connection.recv(1000).startswith(b"HTTP/1.1 200"):
                        results["wrong"].append("/health does not answer 200")
            except OSError as error:
                results["wrong"].append(f"/health: {error}")
            slowest[now] = max(slowest[now], time.monotonic() - begin)
            time.sleep(0.1)

    def read_phases():
        for line in sys.stdin:
            phase[0] = line.strip()
        phase[0] = "end"
    for target in (ask_health, read_phases):
        threading.Thread(target=target, daemon=True).start()
    alone, gaps = None, collections.defaultdict(list)
    while phase[0] != "end":
        now = phase[0]
        try:
            said, times = stream_once(port, tokens)
        except OSError as error:
            results["wrong"].append(f"the honest stream: {error}")
            time.sleep(0.5)
            continue
        alone = alone or said
        if said is None or said != alone:
            results["wrong"].append(f"the honest stream differs ({len(said or b'')} bytes, alone {len(alone or b'')})")
        if now == phase[0]:
            gaps[now].append(max(times[1:], default=0))
            print(f"{now} {len(gaps[now])}", flush=True)
    results.update({"gaps": gaps, "health": slowest, "bytes": len(alone or b"")})
    print(json.dumps(results), flush=True)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def start(program, more):
    server = subprocess.Popen([program, "serve", "--port", "0", "--log", "none", "--max-body", str(MAX_BODY), *more],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in server.stdout:
        if found := re.search(r"serving \S+ at http://[^ ]*:(\d+),", line):
            rest = []
            threading.Thread(target=lambda: rest.extend(server.stdout), daemon=True).start()
            return server, int(found.group(1)), rest
    raise SystemExit("the server did not start")


class Watcher:
    def __init__(self, port, tokens):
        self.process = subprocess.Popen([sys.executable, __file__, "--watch", str(port), "--tokens", str(tokens)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def say(self, phase):
        self.process.stdin.write(phase + "\n")
        self.process.stdin.flush()

    def streams(self, phase, count):
        for line in self.process.stdout:
            if line.strip() == f"{phase} {count}":
                return

    def end(self):
        self.process.stdin.close()
        lines_of_it = self.process.stdout.read().strip().splitlines()
        self.process.wait()
        return json.loads(lines_of_it[-1])


def settled(pid, before):
    """File descriptors once what was left has been closed."""
    until = time.monotonic() + 30
    while descriptors(pid) > before and time.monotonic() < until:
        time.sleep(0.1)
    return descriptors(pid)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linnet", default=os.path.join(ROOT, "build", "release", "linnet"))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1800, help="stop after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timed", action="store_true", help="gaps and /health must keep their times; on an idle machine")
    parser.add_argument("--tokens", type=int, default=300, help="of the honest stream")
    parser.add_argument("--serve", default="", help="further arguments of linnet serve: a model, threads")
    parser.add_argument("--watch", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        return watch(args.watch, args.tokens)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server, port, output = start(os.path.abspath(args.linnet), shlex.split(args.serve))
    try:
        return attack_it(args, server, port, output)
    finally:
        if server.poll() is None:
            server.kill()


def attack_it(args, server, port, output):
    watcher = Watcher(port, args.tokens)
    watcher.streams("alone", 6)
    files, memory, begin = descriptors(server.pid), resident(server.pid), time.monotonic()
    watcher.say("attacked")
    hostile = Hostile(port, args.seed)
    asyncio.run(hostile.run(args.requests, args.seconds))
    seconds = time.monotonic() - begin
    result = watcher.end()
    wrong = hostile.wrong + result["wrong"]
    if server.poll() is not None or hostile.refused:  # what else is wrong comes of it
        why = f"the server ended with {server.returncode}" if server.poll() is not None else hostile.refused
        wrong = [f"{why}: {' '.join(output[-5:])}; the last requests: " + "; ".join(a.kind for a in hostile.last)]
    else:
        after, memory_after = settled(server.pid, files), resident(server.pid)
        if after > files:
            wrong.append(f"the server keeps {after} file descriptors of {files} before")
        server.send_signal(signal.SIGTERM)
        if (code := server.wait(timeout=60)) != 0:
            wrong.append(f"the server's exit code is {code}: " + "".join(output[-5:]))
        print(f"memory {memory:.0f} MB before, {memory_after:.0f} MB after; file descriptors {files} and {after}")
    usual, longest = (max(result["gaps"].get(phase, [0])) for phase in ("alone", "attacked"))
    print(f"{hostile.sent} hostile requests in {seconds:.0f} s, {IDLE} idle and {TRICKLING} trickling connections; statuses "
          + ", ".join(f"{status}: {count}" for status, count in sorted(hostile.statuses.items(), key=str)))
    print(f"honest stream: {len(result['gaps'].get('attacked', []))} times, {result['bytes']} bytes each; longest gap "
          f"{1000 * usual:.0f} ms alone, {1000 * longest:.0f} ms attacked; /health at most "
          f"{1000 * result['health'].get('attacked', 0):.0f} ms")
    if not result["gaps"].get("attacked"):
        wrong.append("the honest stream never ended while the server was attacked")
    if args.timed and longest >= 2 * usual:
        wrong.append("the honest stream's longest gap is twice its usual one or more")
    if result["health"].get("attacked", 0) > (1 if args.timed else 20):
        wrong.append("/health kept its client waiting")
    for line, count in collections.Counter(wrong).most_common(30):
        print(f"WRONG: {line}" + (f" ({count} times)" if count > 1 else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
