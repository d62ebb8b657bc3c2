#!/usr/bin/env python3
"""Prints the table of docs/quality.md: what each mix of `linnet quantise` costs on real weights.

Usage: quality_table.py LINNET MODEL.gguf [--mix NAME ...] [--speed] [--calibrate TEXT ...] [--keep FOLDER]

MODEL is the file of `make test-real`; its weights as float32 are the reference. For every mix a file is made with
`--calibrate` (builtin unless told otherwise) and compared by `linnet perplexity --compare` over the texts of
tests/data/golden/real/cases.json. With --speed `linnet bench` follows: on a machine that does nothing else.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

MIXES = ["q8_0", "q6_k", "q5_k_m", "q5_0", "q4_k_m", "q4_0", "iq4_xs", "q3_k_m", "q2_k"]
CASES = pathlib.Path(__file__).parent.parent / "tests/data/golden/real/cases.json"


def run(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def mean_kl(texts: list) -> float:
    tokens = sum(text["tokens"] for text in texts)
    return sum(text["comparison"]["kl_mean"] * text["tokens"] for text in texts) / tokens


def speed(linnet: str, file: pathlib.Path) -> str:
    report = json.loads(run(linnet, "bench", file, "--json", "--depth", 0))
    return f" {report['prefill']['tokens_per_second']:.0f} | {report['decode']['tokens_per_second']:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("linnet")
    parser.add_argument("model")
    parser.add_argument("--mix", action="append", help="only these")
    parser.add_argument("--calibrate", action="append", help="texts; 'none' for none")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--keep", help="a folder for the files, which are made again only if they are not there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(args.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        texts = []
        for case in json.loads(CASES.read_text(encoding="utf-8"))["cases"]:
            texts.append(folder / f"{case['name']}.txt")
            texts[-1].write_text(case["text"], encoding="utf-8")
        original = folder / "f32.gguf"
        if not original.exists():
            run(args.linnet, "convert", args.model, original, "--type", "f32")
        print("| Mix | Size | KL, all | Without `long` | Change of nll | Same top token |"
              + (" Prefill, tokens/s | Decode, tokens/s |" if args.speed else ""))
        print("|---|---|---|---|---|---|" + ("---|---|" if args.speed else ""))
        calibrate = [text for text in args.calibrate or ["builtin"] if text != "none"]
        for mix in args.mix or MIXES:
            file = folder / f"{mix}{'' if calibrate else '-plain'}.gguf"
            if not file.exists():
                run(args.linnet, "quantise", original, file, "--mix", mix,
                    *(word for text in calibrate for word in ("--calibrate", text)))
            report = json.loads(run(args.linnet, "perplexity", file, *texts, "--compare", original, "--json"))
            total = report["total"]["comparison"]
            short = [text for text in report["texts"] if not text["name"].endswith("long.txt")]
            print(f"| {mix} | {file.stat().st_size / 1e6:.0f} MB | {mean_kl(report['texts']):.4f} | "
                  f"{mean_kl(short):.4f} | {total['nll_change']:+.4f} | {100 * total['top1']:.1f} % |"
                  + (speed(args.linnet, file) if args.speed else ""), flush=True)


if __name__ == "__main__":
    main()
