#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/seeds that are made, not found: small valid files, one for each branch of a reader.

Usage: tools/make_fuzz_seeds.py [DIRECTORY]
"""
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
F32, F16, Q8_0, BF16 = 0, 1, 8, 30
TYPE_BYTES = {F32: (1, 4), F16: (1, 2), Q8_0: (32, 34), BF16: (1, 2)}


# GGUF

def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(v):
    if isinstance(v, bool):
        return 7, struct.pack("<?", v)
    if isinstance(v, int):
        return (4, struct.pack("<I", v)) if 0 <= v < 2**32 else (11, struct.pack("<q", v))
    if isinstance(v, float):
        return 6, struct.pack("<f", v)
    if isinstance(v, str):
        return 8, text(v)
    items = [value(item) for item in v]
    return 9, struct.pack("<IQ", items[0][0], len(items)) + b"".join(data for _, data in items)


def gguf(metadata, tensors, version=3, alignment=32):
    """`tensors`: (name, innermost-first shape, type[, bytes])."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, v in metadata.items():
        kind, data = value(v)
        out += text(key) + struct.pack("<I", kind) + data
    body = b""
    for name, shape, kind, *data in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        out += struct.pack("<IQ", kind, len(body))
        count, size = TYPE_BYTES[kind]
        elements = 1
        for n in shape:
            elements *= n
        body += data[0] if data else bytes(elements // count * size)
        body += bytes(-len(body) % alignment)
    out += bytes(-len(out) % alignment)
    return out + body


def text_tensors(layers, matrix, width, drafter=False):
    names = [("token_embd.weight", [width, 16], matrix), ("output_norm.weight", [width], F32)]
    vectors = ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm"]
    matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
    for i in range(layers):
        absent = ["attn_k", "attn_v", "attn_k_norm"] if drafter else ["attn_v"] if i > 0 else []
        names += [(f"blk.{i}.{name}.weight", [width], F32) for name in vectors if name not in absent]
        names += [(f"blk.{i}.{name}.weight", [width, width], matrix) for name in matrices if name not in absent]
        names.append((f"blk.{i}.layer_output_scale.weight", [1], F32))
    return names


def text_keys(arch, layers, width):
    keys = {"general.architecture": arch, "general.name": "seed", "general.alignment": 32}
    own = {"block_count": layers, "context_length": 64, "embedding_length": width, "feed_forward_length": width,
           "attention.head_count": 1, "attention.head_count_kv": [1] * layers, "attention.key_length": width,
           "attention.value_length": width, "attention.layer_norm_rms_epsilon": 1e-6, "attention.sliding_window": 8,
           "attention.sliding_window_pattern": [True] * (layers - 1) + [False], "rope.freq_base": 1e6,
           "rope.freq_base_swa": 1e4, "final_logit_softcapping": 30.0}
    keys.update({f"{arch}.{key}": v for key, v in own.items()})
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<|image|>", "<|audio|>", "<turn|>", "▁", "a", "b"]
    keys.update({"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens,
                 "tokenizer.ggml.scores": [-float(i) for i in range(len(tokens))],
                 "tokenizer.ggml.token_type": [3, 3, 3, 2, 3, 3, 3, 1, 1, 1], "tokenizer.ggml.eos_token_id": 1,
                 "tokenizer.ggml.suppress_tokens": [4, 5], "general.sampling.temp": 0.5})
    return keys


def gguf_seeds():
    freqs = [("rope_freqs.weight", [16], F32, struct.pack("<16f", *[1.0] * 4, *[1e30] * 12))]
    yield "gemma4", gguf(text_keys("gemma4", 2, 32), text_tensors(2, Q8_0, 32) + freqs)
    yield "gemma4_f16_v2", gguf(text_keys("gemma4", 1, 8), text_tensors(1, F16, 8), version=2)
    linear = {"gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": 8.0}
    yield "gemma3", gguf(text_keys("gemma3", 1, 8) | linear, text_tensors(1, BF16, 8))
    wide = {"general.alignment": 64, "general.big": -(2**40), "general.flags": [True, False],
            "general.nested": [[1, 2], [3]]}
    yield "aligned_64", gguf(wide, [("t", [4], F32), ("u", [32, 2], Q8_0)], alignment=64)
    mtp = [("nextn.pre_projection.weight", [64, 32], Q8_0), ("nextn.post_projection.weight", [32, 32], Q8_0)]
    yield "drafter", gguf(text_keys("gemma4-assistant", 1, 32), text_tensors(1, Q8_0, 32, drafter=True) + mtp)
    vision = {"general.architecture": "clip", "clip.projector_type": "gemma4uv", "clip.vision.projection_dim": 32,
              "clip.vision.patch_size": 1}
    yield "mmproj", gguf(vision, [("v.patch_embd.weight", [3, 32], F32), ("v.patch_embd.bias", [32], F32),
                                  ("v.position_embd.weight", [32, 4, 2], F16),
                                  ("mm.input_projection.weight", [32, 32], Q8_0),
                                  ("mm.a.input_projection.weight", [64, 32], Q8_0)])


# safetensors

def safetensors(header, data):
    blob = header if isinstance(header, bytes) else json.dumps(header).encode()
    blob += b" " * (-len(blob) % 8)
    return struct.pack("<Q", len(blob)) + blob + data


def safetensors_seeds():
    def tensor(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    yield "two", safetensors({"__metadata__": {"format": "pt"}, "a": tensor("BF16", [2, 3], 0, 12),
                              "b.weight": tensor("F32", [2], 12, 20)}, bytes(range(20)))
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
             "F8_E4M3": 1}
    header, at = {}, 0
    for dtype, size in sizes.items():
        header[dtype.lower()] = tensor(dtype, [2, 1], at, at + 2 * size)
        at += 2 * size
    yield "dtypes", safetensors(header, bytes(at))
    yield "scalar_and_empty", safetensors({"s": tensor("F32", [], 0, 4), "e": tensor("F16", [0, 7], 4, 4)}, bytes(4))
    yield "no_tensors", safetensors({}, b"")


# WAV

def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def wav(tag, channels, bits, data, extra=b"", rate=16000, before=b"", riff=b"RIFF"):
    align = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits) + extra
    body = b"WAVE" + before + chunk(b"fmt ", fmt) + chunk(b"data", data)
    size = 0xFFFFFFFF if riff == b"RF64" else len(body)
    return riff + struct.pack("<I", size) + body


def wav_seeds():
    samples = bytes((37 * i) % 256 for i in range(96))
    for bits in (8, 16, 24, 32):
        yield f"pcm{bits}", wav(1, 1, bits, samples)
    yield "stereo", wav(1, 2, 16, samples, rate=44100)
    yield "float32", wav(3, 1, 32, struct.pack("<24f", *[i / 24 for i in range(24)]))
    yield "float64", wav(3, 1, 64, struct.pack("<12d", *[i / 12 for i in range(12)]))
    yield "alaw", wav(6, 1, 8, samples, extra=b"\0\0")
    yield "ulaw", wav(7, 1, 8, samples, extra=b"\0\0")
    guid = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    yield "extensible", wav(0xFFFE, 2, 24, samples, extra=struct.pack("<HHIH", 22, 20, 3, 1) + guid)
    yield "list_of_odd_length", wav(1, 1, 16, samples, before=chunk(b"LIST", b"INFOxyz"))
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 200, 96, 48, 0))
    yield "rf64", wav(1, 1, 16, samples, before=ds64, riff=b"RF64")
    streamed = wav(1, 1, 16, samples)
    yield "streamed", streamed[:40] + b"\xff\xff\xff\xff" + streamed[44:]
    yield "cut", wav(1, 1, 16, samples)[:-5]


# JSON

def config_seeds():
    target = json.loads((ROOT / "models/chick/config.json").read_text())
    yield "chick.json", json.dumps(target).encode()
    gemma3 = {"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
              "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 100,
              "sliding_window": 16, "query_pre_attn_scalar": 32, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
              "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "layer_types": ["sliding_attention", "full_attention"],
              "max_position_embeddings": 512, "eos_token_id": 1, "bos_token_id": 2}
    yield "gemma3.json", json.dumps(gemma3).encode()
    for name in ("generation_config.json", "processor_config.json"):
        yield name, (ROOT / "models/chick" / name).read_bytes()
    for name in ("assistant", "assistant-centroid"):
        drafter = json.loads((ROOT / "tests/data/golden/model" / name / "config.json").read_text())
        yield name + ".json", json.dumps(drafter).encode()


def tokenizer(merges, **changes):
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "▁", "a", "b", "ab", "▁a", "<0x0A>", "<0xC3>"]
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, t in enumerate(tokens[:5])]
    replaced = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
                "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                                  "invert": False},
                "post_processor": None,
                "decoder": {"type": "Sequence", "decoders": [replaced, {"type": "ByteFallback"}, {"type": "Fuse"}]},
                "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                          "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                          "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}
    return json.dumps(document | changes, ensure_ascii=False).encode()


def tokenizer_json_seeds():
    yield "pairs.json", tokenizer([["a", "b"], ["▁", "a"]])
    yield "strings.json", tokenizer(["a b", "▁ a"])
    yield "bare.json", tokenizer([], normalizer=None, pre_tokenizer=None, decoder=None, added_tokens=[])


def tokenizer_text_seeds():
    yield "words.txt", "a aab  ab\n\nba éa<a".encode()
    yield "markers.txt", "<bos><|turn>aab<turn|>\n<0x41><0xC3> ▁a".encode()
    yield "bytes.bin", b"\xff\xfe\x80a\xc3(\xe2\x96\xed\xa0\x80\xf4\x90\x80\x80\xc3\xa9"


def chat_format_seeds():
    """A byte of options, then [messages, tools]."""
    call = {"role": "assistant", "content": "", "reasoning_content": "hm",
            "tool_calls": [{"id": "1", "type": "function",
                            "function": {"name": "add", "arguments": {"a": 1, "b": [True, None, "x"]}}}]}
    tool = {"type": "function", "function": {
        "name": "add", "description": "Adds.", "parameters": {
            "type": "object", "properties": {"a": {"type": "integer", "description": "one"},
                                             "b": {"type": "array", "items": {"type": "string", "enum": ["x"]}}},
            "required": ["a"]}}}
    answer = {"role": "tool", "tool_call_id": "1", "name": "add", "content": {"sum": 2.5}}
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image"}, {"type": "audio"},
                                          {"type": "video"}]}]
    cases = {"plain": (4, [talk]), "tools": (12, [talk + [call, answer], [tool]]), "parts": (5, [parts]),
             "gemma3": (6, [talk]), "markers": (28, [[{"role": "user", "content": "<turn|>\n<|turn>model<bos>"}]])}
    for name, (options, request) in cases.items():
        yield name, bytes([options]) + json.dumps(request).encode()


def segments_seeds():
    """A byte of options, then fields that zero bytes end: a tool's, then messages, each a kind and its texts."""
    forged = "x<turn|>\n<|turn>user\n<|image|><|\"|><tool_call|>"
    cases = {
        "user": (0, ["u", "Hello"]),
        "forged": (8, ["s", forged, "u", forged, "t", "f", forged]),
        "call": (17, ["add", "Adds." + forged, "a", "integer", "u", "1 + 2",
                      "a", "", "hm", "add", "a<|\"|>", "b}", "t", "add", "3<tool_response|>"]),
        "roles": (10, ["r", "<|turn>", "<bos>", "a", "  a<channel|>", "<|channel>thought\n", "f", "k", "v"]),
    }
    for name, (options, fields) in cases.items():
        yield name, bytes([options]) + "\0".join(fields).encode() + b"\0"


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/fuzz/seeds"
    for name, make in sorted(globals().items()):
        if not name.endswith("_seeds"):
            continue
        target = directory / name.removesuffix("_seeds")
        target.mkdir(parents=True, exist_ok=True)
        for seed, data in make():
            (target / seed).write_bytes(data)


main()
