#!/usr/bin/env python3
"""Makes the files in examples/ that `make demo` shows to Chick: drawn shapes and espeak-ng speech.

Needs Python 3 and espeak-ng. The files are in the repository; run this only to make them anew:

    tools/make_examples.py examples
"""

import math
import struct
import subprocess
import sys
import zlib
from pathlib import Path

COLOURS = {
    "red": (225, 45, 50),
    "green": (40, 150, 50),
    "blue": (30, 80, 220),
    "yellow": (250, 215, 30),
    "purple": (125, 70, 180),
    "black": (20, 20, 20),
}


def polygon_contains(points, x, y):
    inside = False
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1]):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def star_points(cx, cy, radius):
    points = []
    for i in range(10):
        r = radius if i % 2 == 0 else radius * 0.4
        angle = -math.pi / 2 + i * math.pi / 5
        points.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
    return points


def shape_test(kind, cx, cy, r):
    """A function of (x, y) that says whether the point is in the shape of half-size r around (cx, cy)."""
    if kind == "circle":
        return lambda x, y: (x - cx) ** 2 + (y - cy) ** 2 <= r * r
    if kind == "square":
        return lambda x, y: abs(x - cx) <= r and abs(y - cy) <= r
    if kind == "triangle":
        corners = [(cx, cy - r), (cx + r, cy + 0.8 * r), (cx - r, cy + 0.8 * r)]
    elif kind == "star":
        corners = star_points(cx, cy, r)
    else:
        raise ValueError(f"unknown shape {kind}")
    return lambda x, y: polygon_contains(corners, x, y)


def write_png(path, width, height, rows):
    def chunk(tag, data):
        body = tag + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    raw = b"".join(b"\0" + bytes(v for pixel in row for v in pixel) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    path.write_bytes(data)


def draw(path, size, background, shapes):
    """shapes: (colour, kind, cx, cy, r), later ones on top."""
    width, height = size
    tests = [(COLOURS[colour], shape_test(kind, cx, cy, r)) for colour, kind, cx, cy, r in shapes]
    rows = []
    for y in range(height):
        row = []
        for x in range(width):
            pixel = background
            for colour, contains in tests:
                if contains(x + 0.5, y + 0.5):
                    pixel = colour
            row.append(pixel)
        rows.append(row)
    write_png(path, width, height, rows)


def speak(path, text, voice):
    subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", str(path), text], check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_examples.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "shapes.png", (240, 160), (226, 234, 240),
         [("red", "star", 65, 70, 42), ("blue", "circle", 175, 85, 48)])
    draw(folder / "three.png", (288, 192), (250, 240, 240),
         [("green", "triangle", 55, 95, 36), ("yellow", "square", 145, 100, 34), ("purple", "circle", 235, 95, 36)])
    speak(folder / "command.wav", "play some jazz music", "en-us")
    speak(folder / "weather.wav", "what is the weather in paris", "en-gb")


if __name__ == "__main__":
    main()
