#!/usr/bin/env python3
"""Makes a long recording of spoken commands from Chick's world with espeak-ng, writes it down with linnet, and prints the
word error rate, the errors in time, and whether a run that is killed half-way goes on without loss.

    tools/speech_test.py [--linnet build/release/linnet] [--minutes 40] [--voice en-gb] [--model MODEL]

The truth is known because the recording is put together from single commands with pauses between them.
"""
import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import wave

RATE = 16000
ROOMS = ["kitchen", "bedroom", "bathroom", "office", "garage", "garden"]
DEVICES = ["light", "lamp", "fan", "heater", "radio"]
CITIES = ["paris", "london", "rome", "tokyo", "berlin"]
NAMES = ["anna", "tom", "clara"]
STYLES = ["jazz", "rock", "pop"]


def command(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return f"turn {rng.choice(['on', 'off'])} the {rng.choice(ROOMS)} {rng.choice(DEVICES)}"
    if kind == 1:
        return f"set a timer for {rng.randrange(2, 10)} {rng.choice(['minutes', 'hours'])}"
    if kind == 2:
        return f"what is the weather in {rng.choice(CITIES)}"
    if kind == 3:
        return f"call {rng.choice(NAMES)}"
    return f"play some {rng.choice(STYLES)} music"


def speak(text, voice, directory):
    """Samples at 16 kHz, silence at both ends cut off."""
    path = os.path.join(directory, "one.wav")
    subprocess.run(["espeak-ng", "-v", voice, "-w", path, text], check=True, capture_output=True)
    with wave.open(path) as file:
        rate = file.getframerate()
        raw = file.readframes(file.getnframes())
    samples = [v / 32768 for (v,) in struct.iter_unpack("<h", raw)]
    # Linear interpolation is enough: espeak-ng's voices end far below 8 kHz.
    out = []
    for i in range(int(len(samples) * RATE / rate)):
        at = i * rate / RATE
        j = int(at)
        after = samples[j + 1] if j + 1 < len(samples) else 0.0
        out.append(samples[j] + (after - samples[j]) * (at - j))
    loud = [i for i, v in enumerate(out) if abs(v) > 0.003]
    return out[loud[0] : loud[-1] + 1]


def make_recording(path, minutes, voice, seed, directory):
    rng = random.Random(seed)
    spoken, truth, at = {}, [], 0
    with wave.open(path, "w") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        while at < minutes * 60 * RATE:
            pause = int(rng.uniform(0.7, 4.0) * RATE)
            text = command(rng)
            if text not in spoken:
                spoken[text] = speak(text, voice, directory)
            samples = spoken[text]
            file.writeframes(struct.pack(f"<{pause}h", *[0] * pause))
            file.writeframes(struct.pack(f"<{len(samples)}h", *[int(max(-1, min(1, v)) * 32767) for v in samples]))
            truth.append({"text": text, "begin": (at + pause) / RATE, "end": (at + pause + len(samples)) / RATE})
            at += pause + len(samples)
    return truth


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def peak_memory(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def transcribe(linnet, model, recording, output, kill_after=None):
    arguments = [linnet, "transcribe", recording, "-f", "json", "-o", output, "-q"]
    if model:
        arguments += ["--model", model]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    start, peak = time.time(), 0
    while process.poll() is None:
        peak = max(peak, peak_memory(process.pid))
        if kill_after and os.path.exists(output + ".journal"):
            with open(output + ".journal") as journal:
                if sum(1 for _ in journal) > kill_after:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return None, peak, time.time() - start
        time.sleep(0.005)
    with open(output) as file:
        return json.load(file)["utterances"], peak, time.time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linnet", default="build/release/linnet")
    parser.add_argument("--model", default="")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--voice", default="en-gb")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="keep the recording here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        recording = args.keep or os.path.join(directory, "recording.wav")
        truth = make_recording(recording, args.minutes, args.voice, args.seed, directory)
        print(f"{args.minutes:g} minutes, {len(truth)} commands, voice {args.voice}")
        heard, peak, seconds = transcribe(args.linnet, args.model, recording, os.path.join(directory, "whole.json"))
        resumed_path = os.path.join(directory, "resumed.json")
        transcribe(args.linnet, args.model, recording, resumed_path, kill_after=len(truth) // 2)
        resumed, _, _ = transcribe(args.linnet, args.model, recording, resumed_path)

    words = [u["text"].split() for u in truth]
    found = [u["text"].split() for u in heard]
    errors = distance(sum(words, []), sum(found, []))
    total = sum(map(len, words))
    matched = [min(heard, key=lambda u: abs(u["begin"] - t["begin"])) for t in truth]
    late = [max(abs(u["begin"] - t["begin"]), abs(u["end"] - t["end"])) for u, t in zip(matched, truth)]
    exact = sum(u["text"] == t["text"] for u, t in zip(matched, truth))
    print(f"pieces heard: {len(heard)} of {len(truth)}; commands heard exactly: {exact} ({100 * exact / len(truth):.1f} %)")
    print(f"word error rate: {100 * errors / total:.1f} % ({errors} of {total} words)")
    print(f"largest error in time: {max(late):.2f} s; more than 0.5 s: {sum(v > 0.5 for v in late)}")
    print(f"peak memory: {peak / 1024:.0f} MB; time: {seconds:.1f} s, {60 * args.minutes / seconds:.0f} times real time")
    print(f"killed half-way and gone on: {'the same transcript' if resumed == heard else 'ANOTHER TRANSCRIPT'}")
    return 0 if len(heard) == len(truth) and max(late) <= 0.5 and resumed == heard else 1


if __name__ == "__main__":
    sys.exit(main())
