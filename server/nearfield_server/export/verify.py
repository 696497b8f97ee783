"""Measures what an exported graph lost: against its reference, and against itself in other company.

All figures are taken on L2-normalised vectors. Needs onnxruntime and tokenizers, which the rest of the package doesn't.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from nearfield_server.export.samples import batches
from nearfield_server.export.weights import Floats

__all__ = ["Parity", "batch_dependence", "compare", "embed", "neighbours_kept", "open_session", "tokenise"]

Ids = Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Closeness of vectors to their reference."""

    cosine_mean: float
    cosine_min: float
    top10_kept: float


def tokenise(tokenizer_file: Path, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Vocabulary ids of each text with special tokens, cut at `max_tokens` by dropping from the end."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    # The file's own limits are those of some earlier use (128 in all-MiniLM-L6-v2) and would cut texts short.
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [list(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]


def open_session(model: str | bytes) -> ort.InferenceSession:
    """A session of one thread with graph optimisation off, as the server opens lean graphs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(session: ort.InferenceSession, texts: Sequence[Ids]) -> Floats:
    """L2-normalised vectors [texts, hidden], computed in small batches of like lengths."""
    rows: list[Floats | None] = [None] * len(texts)
    for batch in batches(texts):
        for index, row in zip(batch, _run(session, [texts[index] for index in batch]), strict=True):
            rows[index] = row
    return np.stack([row for row in rows if row is not None])


def compare(vectors: Floats, reference: Floats) -> Parity:
    """Parity of normalised vectors [texts, hidden] with their normalised reference."""
    cosines = np.einsum("th,th->t", vectors.astype(np.float64), reference.astype(np.float64))
    return Parity(
        cosine_mean=float(cosines.mean()),
        cosine_min=float(cosines.min()),
        top10_kept=neighbours_kept(vectors, reference, 10),
    )


def neighbours_kept(vectors: Floats, reference: Floats, count: int) -> float:
    """Mean share of each text's `count` nearest others by the reference that are also nearest by `vectors`."""
    count = min(count, len(vectors) - 1)
    found, expected = _neighbours(vectors, count), _neighbours(reference, count)
    shared = [len(set(mine) & set(theirs)) for mine, theirs in zip(found, expected, strict=True)]
    return float(np.mean(shared)) / count


def batch_dependence(session: ort.InferenceSession, texts: Sequence[Ids], batch_size: int = 32) -> float:
    """Largest absolute difference between a text's vector alone and inside a batch of mixed lengths."""
    worst = 0.0
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        alone = np.concatenate([_run(session, [text]) for text in batch])
        worst = max(worst, float(np.abs(_run(session, batch) - alone).max()))
    return worst


def _run(session: ort.InferenceSession, texts: Sequence[Ids]) -> Floats:
    longest = max(len(text) for text in texts)
    ids = np.zeros((len(texts), longest), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    vectors = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)


def _neighbours(vectors: Floats, count: int) -> npt.NDArray[np.intp]:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return np.asarray(np.argsort(-scores, axis=1, kind="stable")[:, :count])
