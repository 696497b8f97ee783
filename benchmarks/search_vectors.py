"""Vectors for search_index.py: texts embedded with the built-in model, and more of them by jitter.

    python benchmarks/search_vectors.py OUT.npy FILE...

FILEs hold JSON lines with "text" (or are lists of plain lines), plain or gzipped.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.loader import load
from nearfield_server.encoder.tokenizer import TextOptions

Rows = npt.NDArray[np.float32]

_BATCH = 16
_NOISE = 0.35
"""Length of the jitter beside a unit vector: cosine to the original about 0.94, as near-paraphrases have it."""


def main() -> None:
    """Embed the texts of some files."""
    texts = sorted({text for name in sys.argv[2:] for text in texts_of(Path(name))}, key=len)
    np.save(sys.argv[1], embed(texts))


def texts_of(path: Path) -> list[str]:
    """Give the texts of a file."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.decode().splitlines()
    return [json.loads(line)["text"] if line.startswith("{") else line for line in lines if line.strip()]


def embed(texts: list[str]) -> Rows:
    """Give unit vectors, in a random order that is the same every time."""
    return np.random.default_rng(0).permutation(encoded(texts))


def encoded(texts: list[str]) -> Rows:
    """Give unit vectors in the order of the texts."""
    model = load("m", builtin_folder(), device="cpu")
    rows: list[Rows] = []
    for start in range(0, len(texts), _BATCH):
        some = texts[start : start + _BATCH]
        tokens = model.tokenizer.encode(some, TextOptions())
        rows.extend(one.dense for one in model.encoder(tokens) if one.dense is not None)
    return unit(np.stack(rows))


def spread(base: Rows, count: int) -> Rows:
    """Give `count` unit vectors: those of `base`, then jittered copies of them."""
    chosen = np.random.default_rng(1)
    made = np.resize(base, (count, base.shape[1])).copy()
    noise = chosen.standard_normal((max(0, count - len(base)), base.shape[1]), np.float32)
    made[len(base) :] += _NOISE * unit(noise)
    return unit(made)


def unit(rows: Rows) -> Rows:
    """Give rows of length 1."""
    made: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


if __name__ == "__main__":
    main()
