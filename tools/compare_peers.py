#!/usr/bin/env python3
"""Speed of Linnet beside other engines on the same GGUF file, in one run.

  tools/compare_peers.py LINNET FILE.gguf --peer NAME=LLAMA_BENCH [--peer "NAME=LLAMA_BENCH -rtr 1"] [options]

Every peer is a program with the arguments and the JSON of llama.cpp's llama-bench. The programs take turns, so that what
neighbours do to the machine meets all of them alike; each figure is the median of the rounds. Docs: docs/performance.md.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile


def without_remarks(output):
    """JSON printed over several lines, without the lines of plain text that some programs print in between."""
    return "\n".join(line for line in output.splitlines() if line.strip()[:1] in tuple('[]{}"-0123456789'))


def run(command):
    """Output of a program and the largest memory it held, in GB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            last = err.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"exit code {process.returncode}: {' '.join(last)}")
        return json.loads(without_remarks(out.read().decode(errors="replace"))), usage.ru_maxrss * 1024 / 1e9


class Linnet:
    def __init__(self, program, args):
        self.name = "Linnet"
        self.command = [program, "bench", args.model, "--json", "--repeat", "1", "--depth", "0", "-t", str(args.threads),
                        "--prompt", str(args.prompt), "--decode", str(args.generate)]

    def measure(self):
        result, memory = run(self.command)
        self.limits = {key: result[key] for key in ("int8_peak_tmacs", "int8_fed_tmacs", "bandwidth_gbs")}
        return {"prompt": result["prefill_tok_s"], "generate": result["decode_tok_s"], "memory": memory}


class LlamaBench:
    def __init__(self, text, args):
        self.name, _, command = text.partition("=")
        if not self.name or not command:
            raise ValueError(f"--peer {text}: give NAME=PROGRAM, with further arguments behind it")
        self.command = [*shlex.split(command), "-m", args.model, "-t", str(args.threads), "-p", str(args.prompt),
                        "-n", str(args.generate), "-r", "1", "-o", "json"]

    def measure(self):
        tests, memory = run(self.command)
        speed = {"prompt" if test["n_gen"] == 0 else "generate": test["avg_ts"] for test in tests}
        return {**speed, "memory": memory}


def table(programs, measured, args):
    kinds = [("prompt", f"prompt {args.prompt}, tokens/s"), ("generate", f"generation {args.generate}, tokens/s"),
             ("memory", "memory, GB")]
    lines = ["| | " + " | ".join(title for _, title in kinds) + " |", "|---|" + "---|" * len(kinds)]
    own = {kind: statistics.median(r[kind] for r in measured[programs[0].name]) for kind, _ in kinds}
    for program in programs:
        cells = []
        for kind, _ in kinds:
            values = [r[kind] for r in measured[program.name]]
            middle = statistics.median(values)
            text = f"{middle:.4g}"
            if kind != "memory":
                text += f" ({min(values):.4g} to {max(values):.4g})"
                if program is not programs[0]:
                    text += f", Linnet is {own[kind] / middle:.2f} times"
            cells.append(text)
        lines.append(f"| {program.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("linnet")
    parser.add_argument("model")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PROGRAM", help="may be given again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=32)
    parser.add_argument("--json", action="store_true", help="every single figure instead of the table")
    args = parser.parse_args()
    if min(args.rounds, args.threads, args.prompt, args.generate) < 1:
        parser.error("--rounds, --threads, --prompt and --generate count from 1")
    try:
        programs = [Linnet(args.linnet, args), *(LlamaBench(peer, args) for peer in args.peer)]
    except ValueError as error:
        parser.error(str(error))
    measured = {program.name: [] for program in programs}
    if len(measured) != len(programs):
        parser.error("every --peer needs a name of its own, and not Linnet's")
    for number in range(args.rounds):
        for program in programs:
            print(f"round {number + 1} of {args.rounds}: {program.name}", file=sys.stderr)
            try:
                measured[program.name].append(program.measure())
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                sys.exit(f"compare_peers: {program.name}: {error!s:.300}; the command was {shlex.join(program.command)}")
    limits = programs[0].limits
    if args.json:
        print(json.dumps({"limits": limits, "measured": measured}, indent=2))
        return
    print(table(programs, measured, args))
    print(f"\nLimits in the last round: {limits['int8_peak_tmacs']:.3f} T int8 products/s from registers, "
          f"{limits['bandwidth_gbs']:.1f} GB/s; median of {args.rounds} rounds, {args.threads} threads.")


if __name__ == "__main__":
    main()
