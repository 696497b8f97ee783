"""Texts to calibrate and to verify with, as the server's tokenizer reads them, and batches as the server makes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from nearfield_server.export.errors import SourceError

__all__ = [
    "Encoded",
    "ScoredPair",
    "Text",
    "batches",
    "calibration_texts",
    "encode",
    "feeds",
    "pairs",
    "read_pairs",
    "verification_texts",
]

Text = str | tuple[str, str]

# Small batches of like lengths, as the server makes them on a CPU.
_PADDED_TOKENS = 256


@dataclass(frozen=True)
class Encoded:
    """Vocabulary ids of one text or pair with special tokens, and the segment of each id."""

    ids: list[int]
    types: list[int]

    def __len__(self) -> int:
        """Tokens."""
        return len(self.ids)


@dataclass(frozen=True)
class ScoredPair:
    """Two sentences and how alike people found them."""

    first: str
    second: str
    score: float


def calibration_texts() -> list[str]:
    """Passages for measuring the range of activations."""
    return _packaged("calibration.jsonl")


def verification_texts() -> list[str]:
    """Sentences that no calibration has seen."""
    return _packaged("verification.jsonl")


def pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Each text beside its successor: for models that score pairs."""
    return [(text, texts[(index + 1) % len(texts)]) for index, text in enumerate(texts)]


def encode(tokenizer_file: Path, texts: Sequence[Text], max_tokens: int) -> list[Encoded]:
    """Tokens of each text, cut at `max_tokens` at the end. Raises SourceError when the tokenizer can't be read."""
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # The file's own limits are those of some earlier use and would cut texts short.
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        return [Encoded(list(one.ids), list(one.type_ids)) for one in tokenizer.encode_batch(list(texts))]
    except Exception as error:  # the library raises bare Exception
        raise SourceError(f"{tokenizer_file}: no tokenizer can be read from it, or it fails: {error}") from error


def batches(texts: Sequence[Sized]) -> Iterator[list[int]]:
    """Indices of texts of like lengths, in groups of at most 256 padded tokens."""
    batch: list[int] = []
    for index in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if batch and (len(batch) + 1) * len(texts[index]) > _PADDED_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def feeds(texts: Sequence[Encoded], wanted: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The graph's inputs, int64 [texts, longest], padded on the right with id 0 and mask 0."""
    longest = max(len(text) for text in texts)
    made = {
        name: np.zeros((len(texts), longest), np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, text in enumerate(texts):
        made["input_ids"][row, : len(text)] = text.ids
        made["token_type_ids"][row, : len(text)] = text.types
        made["attention_mask"][row, : len(text)] = 1
    made["position_ids"] = np.tile(np.arange(longest), (len(texts), 1))
    if unknown := set(wanted) - set(made):
        raise SourceError(f"the graph needs inputs that texts don't give: {', '.join(sorted(unknown))}")
    return {name: made[name] for name in wanted}


def read_pairs(file: Path) -> list[ScoredPair]:
    """Lines {"s1", "s2", "score"} of a .jsonl or .jsonl.gz file. Raises SourceError that names the line."""
    opened = gzip.open if file.suffix == ".gz" else Path.open
    try:
        with opened(file, "rt", encoding="utf-8") as stream:
            lines = list(stream)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"--eval {file}: can't be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found.append(ScoredPair(str(row["s1"]), str(row["s2"]), float(row["score"])))
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f'--eval {file}, line {number}: {{"s1", "s2", "score"}} expected: {error!r}') from error
    if len(found) < 2:  # noqa: PLR2004 - a correlation needs two
        raise SourceError(f"--eval {file}: holds fewer than two pairs")
    return found


def _packaged(name: str) -> list[str]:
    lines = files("nearfield_server.export").joinpath(name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
