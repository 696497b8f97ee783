"""Sparse vectors with their terms as text: streams don't carry these, so that they are asked for in calls.

A run keeps one spelling per vocabulary id, not one per weight: that is what its partial output holds of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from nearfield_server.cli.files.job import is_fault_of_a_row

if TYPE_CHECKING:
    from nearfield import SparseOptions, SparseVectors, StreamOptions, StreamResult

__all__ = ["SparseClient", "TermsEmbedder", "Vocabulary"]

_TEXTS_AT_ONCE = 128
_OPTIONS = ("model", "input_type", "prompt_name", "truncate", "special_tokens_as_text")


class Vocabulary(dict[int, str]):
    """Spellings by vocabulary id, kept in a file while a run isn't finished."""

    def __init__(self, path: Path | None) -> None:
        """Keep them at `path`; nowhere for `None`."""
        super().__init__()
        self._path = path
        self._saved = 0

    def read(self) -> bool:
        """Take what the file has; false if there is none that can be read."""
        try:
            content = json.loads(self._path.read_text("utf-8")) if self._path is not None else {}
            self.update({int(number): term for number, term in content.items()})
        except (OSError, ValueError, AttributeError):
            return False
        self._saved = len(self)
        return True

    def save(self) -> None:
        """Make safe what there is; on the disk when it returns."""
        if self._path is None or self._saved == len(self):
            return
        fresh = self._path.with_name(self._path.name + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._saved = len(self)


class SparseClient(Protocol):
    """What this needs of `nearfield.Client`."""

    def embed_sparse(self, inputs: list[str], /, **options: Unpack[SparseOptions]) -> SparseVectors:
        """Give sparse vectors, one row per input."""
        ...


class TermsEmbedder:
    """An `Embedder` that learns the spelling of every id it meets."""

    def __init__(self, client: SparseClient, vocabulary: Vocabulary) -> None:
        """Ask `client`, and fill `vocabulary`."""
        self._client = client
        self._vocabulary = vocabulary

    def embed_stream(self, inputs: Iterable[str], /, **options: Unpack[StreamOptions]) -> Iterator[StreamResult]:
        """Yield one result per text, in their order."""
        chosen: Any = {name: value for name, value in options.items() if name in _OPTIONS}
        chosen |= {"priority": "bulk", "return_terms": True}
        texts, index = iter(inputs), 0
        while batch := list(islice(texts, options.get("batch_size") or _TEXTS_AT_ONCE)):
            yield from self._results(batch, index, chosen)
            index += len(batch)

    def _results(self, texts: list[str], start: int, options: SparseOptions) -> Iterator[StreamResult]:
        import nearfield  # noqa: PLC0415  loads grpc

        try:
            vectors = self._client.embed_sparse(texts, **options)
        except nearfield.NearfieldError as error:
            if not is_fault_of_a_row(error):
                raise
            if len(texts) == 1:
                yield nearfield.StreamResult(index=start, error=error)
                return
            for place, text in enumerate(texts):
                yield from self._results([text], start + place, options)
            return
        self._vocabulary.update(zip(vectors.indices.tolist(), vectors.terms or (), strict=True))
        for place in range(len(texts)):
            yield nearfield.StreamResult(
                index=start + place,
                sparse=vectors.one(place),
                token_count=int(vectors.token_counts[place]),
                truncated=bool(vectors.truncated[place]),
            )
