#!/usr/bin/env python3
"""Makes a directory of reference data for `linnet parity` from a checkpoint, with the reference implementation.

Needs torch, transformers (5.17 or later, with gemma4_unified) and safetensors; pillow for --image. The form of the
directory is documented in docs/parity.md.

    tools/make_golden.py CHECKPOINT OUT --prompt "The harbour wakes" [--image photo.png]
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoProcessor, AutoTokenizer, Gemma4UnifiedForConditionalGeneration


def text_model(model):
    """The decoder stack, wherever this version keeps it."""
    inner = model.model
    return getattr(inner, "language_model", inner)


def record(model, inputs):
    """Runs the model once and returns the intermediates under the names of docs/parity.md."""
    decoder = text_model(model)
    found = {}
    handles = []

    def keep(name, pick):
        def hook(_module, args, output):
            found[name] = pick(args, output)[0].detach().float().contiguous()
        return hook

    def first(value):
        return value[0] if isinstance(value, tuple) else value

    def layer_input(module, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        found["embeds"] = hidden[0].detach().float().contiguous()

    handles.append(decoder.layers[0].register_forward_pre_hook(layer_input, with_kwargs=True))
    for i, layer in enumerate(decoder.layers):
        handles.append(layer.register_forward_hook(keep(f"layer{i}.out", lambda _a, o: first(o))))
    handles.append(decoder.norm.register_forward_hook(keep("final_norm", lambda _a, o: o)))
    try:
        with torch.no_grad():
            logits = model(**inputs, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    found["logits"] = logits[0].detach().float().contiguous()
    return found


def describe(tensors, prefix):
    names = {"torch.float32": "float32", "torch.int32": "int32"}
    return {k: [names[str(t.dtype)], list(t.shape)] for k, t in tensors.items() if k.startswith(prefix)}


class Writer:
    def __init__(self, out, checkpoint, rtol):
        self.folder = out / "model"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = str(Path(checkpoint).resolve())
        self.rtol = rtol
        self.cases = []

    def add(self, name, tensors):
        save_file({k: t.clone() for k, t in tensors.items()}, str(self.folder / f"{name}.safetensors"))
        self.cases.append({
            "name": name, "file": f"{name}.safetensors", "model": self.checkpoint, "rtol": self.rtol, "atol": 1e-7,
            "inputs": describe(tensors, "in."), "probes": describe(tensors, "out."),
        })
        print(f"{name}: {len(tensors)} tensors")

    def finish(self):
        (self.folder / "cases.json").write_text(json.dumps({"cases": self.cases}, indent=1) + "\n")


def text_case(model, tokenizer, prompt):
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    tensors = {"in.input_ids": ids[0].to(torch.int32)}
    tensors.update({f"out.{k}": v for k, v in record(model, {"input_ids": ids}).items()})
    return tensors


def image_case(model, processor, prompt, path):
    from PIL import Image

    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
    rendered = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=rendered, images=[Image.open(path).convert("RGB")], return_tensors="pt",
                       add_special_tokens=False)
    positions = inputs["image_position_ids"][0]
    real = (positions >= 0).all(dim=-1)  # padding rows have negative positions
    tensors = {
        "in.input_ids": inputs["input_ids"][0].to(torch.int32),
        "in.mm_token_type_ids": inputs["mm_token_type_ids"][0].to(torch.int32),
        "in.image0.patches": inputs["pixel_values"][0][real].float().contiguous(),
        "in.image0.positions": positions[real].to(torch.int32).contiguous(),
    }
    # A plain forward() executes mask rule B.
    tensors.update({f"out.B.{k}": v for k, v in record(model, dict(inputs)).items()})
    return tensors


def write_strings(out, tokenizer, prompt):
    folder = out / "tokenizer" / "own"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    texts = [prompt, "", " two  spaces\n\n\nand lines", "Größe 日本語 🎈", "<|turn>user\n<turn|>"]
    with open(folder / "strings.jsonl", "w", encoding="utf-8") as file:
        for text in texts:
            ids = tokenizer(text, add_special_tokens=False).input_ids
            row = {"text": text, "ids": ids}
            decoded = tokenizer.decode(ids)
            if decoded != text:
                row["decoded"] = decoded
            skipped = tokenizer.decode(ids, skip_special_tokens=True)
            if skipped != decoded:
                row["decoded_skip_special"] = skipped
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkpoint", help="Hugging Face directory")
    parser.add_argument("out", type=Path)
    parser.add_argument("--prompt", default="The harbour wakes before the town does.")
    parser.add_argument("--image", help="a picture for a second case")
    parser.add_argument("--rtol", type=float, default=2e-4)
    args = parser.parse_args()

    torch.use_deterministic_algorithms(True)
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    model = Gemma4UnifiedForConditionalGeneration.from_pretrained(
        args.checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    writer = Writer(args.out, args.checkpoint, args.rtol)
    writer.add("text", text_case(model, tokenizer, args.prompt))
    if args.image:
        processor = AutoProcessor.from_pretrained(args.checkpoint)
        writer.add("image", image_case(model, processor, args.prompt, args.image))
    writer.finish()
    write_strings(args.out, tokenizer, args.prompt)


if __name__ == "__main__":
    main()
