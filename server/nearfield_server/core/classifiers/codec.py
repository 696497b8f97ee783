"""A classifier as one file: on the disk, between processes, and to other servers.

    8 bytes      magic
    uint32       length of the head (little-endian, as all numbers are)
    head         JSON: what it is
    float32      coefficients, intercepts, centroids
    32 bytes     SHA-256 of all that stands before

Files come from callers too, so nothing in them is believed: sizes, ranges and numbers are checked, and no byte of them
is ever run.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from typing import Any, NoReturn

import numpy as np
from pydantic import TypeAdapter

from nearfield_server.core.classifiers.nouns import Classifier, Head, Trained, Weights

__all__ = [
    "MAX_LABEL",
    "MAX_LABELS",
    "NAME",
    "decode",
    "encode",
    "is_label",
    "pack_trained",
    "pack_weights",
    "unpack_trained",
    "unpack_weights",
]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of a classifier."""
MAX_LABEL, MAX_LABELS = 256, 10_000
"""Characters of a label, and labels of a classifier."""
_MAGIC = b"NFCLASS1"
_LENGTH = struct.Struct("<I")
_DIGEST_BYTES = 32
_MAX_DIMENSIONS = 65_536
_MAX_TEXT = 1000
_LEAST_LABELS, _MOST_STRENGTH = 2, 1e6
_MOST_WEIGHT, _MOST_LENGTH = 1e9, 1.001
_TRAINED = TypeAdapter(Trained)
_HEAD = TypeAdapter(Head)


def pack_trained(trained: Trained) -> Any:
    """Give it as JSON has it."""
    return _TRAINED.dump_python(trained, mode="json")


def unpack_trained(content: Any) -> Trained:
    """Read it. Raises `ValueError`."""
    return _TRAINED.validate_json(json.dumps(content))


def pack_weights(weights: Weights) -> bytes:
    """Give all arrays in one buffer."""
    parts = (weights.coefficients, weights.intercepts, weights.centroids)
    return b"".join(np.ascontiguousarray(one, "<f4").tobytes() for one in parts)


def unpack_weights(data: bytes, labels: int, dimensions: int) -> Weights:
    """Read them; they share the memory of `data`. Raises `ValueError` where the size is another."""
    values = np.frombuffer(data, "<f4")
    if len(values) != labels * (2 * dimensions + 1):
        raise ValueError("the weights have another size than the head says")
    table = labels * dimensions
    return Weights(
        coefficients=values[:table].reshape(labels, dimensions),
        intercepts=values[table : table + labels],
        centroids=values[table + labels :].reshape(labels, dimensions),
    )


def encode(one: Classifier) -> bytes:
    """Give the file."""
    head = json.dumps(_HEAD.dump_python(one.head, mode="json"), separators=(",", ":")).encode()
    body = _MAGIC + _LENGTH.pack(len(head)) + head + pack_weights(one.weights)
    return body + hashlib.sha256(body).digest()


def decode(data: bytes) -> Classifier:
    """Read a file. Raises `ValueError` that says what is wrong with it."""
    start = len(_MAGIC) + _LENGTH.size
    if len(data) < start + _DIGEST_BYTES or data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("is no file of a classifier")
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("is damaged: its checksum is another")
    (length,) = _LENGTH.unpack_from(data, len(_MAGIC))
    if start + length > len(body):
        raise ValueError("is cut off")
    try:
        plain = json.loads(body[start : start + length], parse_constant=_no_number)
        head = _HEAD.validate_python(plain)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"has a head that can't be read ({type(error).__name__})") from None
    _check(head)
    weights = unpack_weights(body[start + length :], len(head.trained.labels), head.dimensions)
    _check_weights(weights)
    return Classifier(head, weights)


def _check_weights(weights: Weights) -> None:
    """Refuse what would give no probabilities, or no cosines; NaN is outside of all bounds. Raises `ValueError`."""
    for part in (weights.coefficients, weights.intercepts):
        if not np.abs(part).max() <= _MOST_WEIGHT:
            raise ValueError("has weights that aren't finite, or too great")
    if not np.linalg.norm(weights.centroids.astype(np.float64), axis=1).max() <= _MOST_LENGTH:
        raise ValueError("has centroids that aren't of unit length")


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _check(head: Head) -> None:
    """Refuse a head that no training makes. Raises `ValueError`."""
    trained = head.trained
    labels = [one.label for one in trained.labels]
    shares = [trained.accuracy, trained.macro_f1, *(one.macro_f1 for one in trained.trials)]
    for one in trained.labels:
        shares += [one.precision, one.recall]
    strengths = [one.regularization for one in trained.trials]
    texts = [head.description, head.model, head.model_version, *trained.warnings]
    checks = {
        "name": NAME.fullmatch(head.name) and 1 <= head.version < 1 << 31,
        "labels": _LEAST_LABELS <= len(labels) <= MAX_LABELS
        and len(set(labels)) == len(labels)
        and all(map(is_label, labels)),
        "dimensions": 1 <= head.dimensions <= _MAX_DIMENSIONS,
        "figures": all(one is None or 0.0 <= one <= 1.0 for one in shares)
        and all(0 <= one < _MOST_STRENGTH for one in strengths),
        "texts": all(len(one) <= _MAX_TEXT for one in texts),
        "similarity": -1.0 <= trained.min_similarity <= 1.0,
        "counts": all(1 <= one.examples < 1 << 48 for one in trained.labels)
        and trained.examples == sum(one.examples for one in trained.labels)
        and 0 <= trained.folds <= MAX_LABELS
        and 0 <= trained.seed < 1 << 32,
    }
    for name, fine in checks.items():
        if not fine:
            raise ValueError(f"has {name} that no classifier has")


def is_label(label: str) -> bool:
    """Whether it may be one: 1 to 256 characters, not all of them blanks."""
    return len(label) <= MAX_LABEL and bool(label.strip())
