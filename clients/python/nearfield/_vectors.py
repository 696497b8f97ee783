"""Results that are more than one matrix: sparse vectors, and several vectors per input. Plain numpy, no protobuf."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MultiVectors", "Quantization", "SparseVectors"]

_FLOATS = "f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Real value of an integer element q: `scale * (q - zero_point)`."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SparseVectors:
    """Weights over the vocabulary, one row per input, in compressed sparse row form.

    `len`, indexing and iteration go by input, and give a dict of vocabulary id to weight.

    Attributes:
        indptr: int64 [n + 1]; the weights of input i are those from `indptr[i]` to `indptr[i + 1]`.
        indices: int32 [weights], vocabulary ids, ascending within an input.
        values: float32 [weights].
        width: size of the vocabulary.
        terms: the vocabulary's spelling of each of `indices`, where it was asked for.
        token_counts: int64 [n], tokens that the model saw.
        truncated: bool [n], whether that input was cut.
        model: name of the model that made them.
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    width: int
    terms: tuple[str, ...] | None
    token_counts: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    model: str

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs, and the size of the vocabulary."""
        return len(self), self.width

    def __repr__(self) -> str:
        """Shape and number of weights."""
        return f"<SparseVectors {len(self)} x {self.width:,}, {len(self.values):,} weights>"

    def __len__(self) -> int:
        """Number of inputs."""
        return len(self.indptr) - 1

    def __getitem__(self, index: int) -> dict[int, float]:
        """Give the weights of one input by vocabulary id. Raises IndexError."""
        ids, weights = self.row(index)
        return dict(zip(ids.tolist(), weights.tolist(), strict=True))

    def __iter__(self) -> Iterator[dict[int, float]]:
        """Give the weights of each input by vocabulary id."""
        return (self[index] for index in range(len(self)))

    def row(self, index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Give ids and weights of one input, as views. Raises IndexError."""
        part = _part(self.indptr, index)
        return self.indices[part], self.values[part]

    def rows(self) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
        """Give ids and weights of each input, as views."""
        return (self.row(index) for index in range(len(self)))

    def terms_of(self, index: int) -> dict[str, float]:
        """Give the weights of one input by term, greatest first. Raises ValueError without `return_terms=True`."""
        if self.terms is None:
            raise ValueError("the terms weren't asked for: call embed_sparse with return_terms=True")
        part = _part(self.indptr, index)
        pairs = zip(self.terms[part], self.values[part].tolist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: -pair[1]))

    def to_scipy(self) -> Any:
        """Give a `scipy.sparse.csr_array` [n, width] that shares the memory. Raises ImportError without scipy."""
        try:
            sparse = importlib.import_module("scipy.sparse")
        except ImportError as error:
            raise ImportError("to_scipy needs scipy, which the client doesn't bring: pip install scipy") from error
        return sparse.csr_array((self.values, self.indices, self.indptr), shape=self.shape)

    def one(self, index: int) -> SparseVectors:
        """Give one input's weights as SparseVectors of length 1. Raises IndexError."""
        part = _part(self.indptr, index)
        return SparseVectors(
            indptr=np.array([0, part.stop - part.start], np.int64),
            indices=self.indices[part],
            values=self.values[part],
            width=self.width,
            terms=None if self.terms is None else self.terms[part],
            token_counts=self.token_counts[index : index + 1],
            truncated=self.truncated[index : index + 1],
            model=self.model,
        )

    @staticmethod
    def joined(parts: Sequence[SparseVectors]) -> SparseVectors:
        """Put parts of one call together, at least one."""
        terms = [part.terms for part in parts]
        return SparseVectors(
            indptr=_joined_offsets([part.indptr for part in parts]),
            indices=np.concatenate([part.indices for part in parts]),
            values=np.concatenate([part.values for part in parts]),
            width=parts[0].width,
            terms=None if terms[0] is None else tuple(term for some in terms for term in some or ()),
            token_counts=np.concatenate([part.token_counts for part in parts]),
            truncated=np.concatenate([part.truncated for part in parts]),
            model=parts[0].model,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MultiVectors:
    """Several vectors per input, one per token. By index and in a loop: views [tokens, width] of one input.

    Attributes:
        vectors: [all tokens, width], the inputs' one after the other.
        offsets: int64 [n + 1]; the vectors of input i are those from `offsets[i]` to `offsets[i + 1]`.
        token_ids: int32 [all tokens], the vocabulary id of each vector's token.
        token_counts: int64 [n], tokens that the model saw; some of them may have no vector.
        truncated: bool [n], whether that input was cut.
        model: name of the model that made them.
        quantization: set for "int8" and "uint8".
    """

    vectors: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    token_ids: npt.NDArray[np.int32]
    token_counts: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    model: str
    quantization: Quantization | None = None

    def __repr__(self) -> str:
        """Inputs, vectors and their width."""
        rows, width = self.vectors.shape
        return f"<MultiVectors {len(self)} inputs, {rows:,} x {width} {self.vectors.dtype}>"

    def __len__(self) -> int:
        """Number of inputs."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Give the vectors of one input, [tokens, width]. Raises IndexError."""
        return self.vectors[_part(self.offsets, index)]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Give the vectors of each input."""
        return (self[index] for index in range(len(self)))

    def maxsim(self, documents: MultiVectors) -> npt.NDArray[np.float32]:
        """Score `documents` for these queries by late interaction, float32 [queries, documents]; greater is better.

        For each vector of the query the best dot product among the document's vectors, summed (ColBERT,
        arXiv:2004.12832). A document without vectors gets 0, as the server's Rerank gives it.

        Raises:
            ValueError: vectors of another width, or packed ones.
        """
        if self.vectors.shape[1] != documents.vectors.shape[1]:
            raise ValueError(f"vectors of {self.vectors.shape[1]} and of {documents.vectors.shape[1]} don't compare")
        queries = self.floats(0, len(self.vectors))
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        scores = np.zeros((len(self), len(documents)), np.float32)
        for column in range(len(documents)):
            part = _part(documents.offsets, column)
            if part.stop > part.start:
                best = (queries @ documents.floats(part.start, part.stop).T).max(axis=1)
                scores[:, column] = np.bincount(owner, best, len(self))
        return scores

    def floats(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Give some of `vectors` as the real numbers that they stand for. Raises ValueError for packed ones."""
        vectors, scale = self.vectors[start:stop], self.quantization
        if scale is not None:
            return np.asarray(scale.scale * (vectors.astype(np.float32) - scale.zero_point), np.float32)
        if vectors.dtype.kind != _FLOATS:
            raise ValueError("packed vectors have signs only: embed with another output_dtype than binary or ubinary")
        return vectors.astype(np.float32, copy=False)

    def one(self, index: int) -> MultiVectors:
        """Give one input's vectors as MultiVectors of length 1. Raises IndexError."""
        part = _part(self.offsets, index)
        return MultiVectors(
            vectors=self.vectors[part],
            offsets=np.array([0, part.stop - part.start], np.int64),
            token_ids=self.token_ids[part],
            token_counts=self.token_counts[index : index + 1],
            truncated=self.truncated[index : index + 1],
            model=self.model,
            quantization=self.quantization,
        )

    @staticmethod
    def joined(parts: Sequence[MultiVectors]) -> MultiVectors:
        """Put parts of one call together, at least one."""
        return MultiVectors(
            vectors=np.concatenate([part.vectors for part in parts]),
            offsets=_joined_offsets([part.offsets for part in parts]),
            token_ids=np.concatenate([part.token_ids for part in parts]),
            token_counts=np.concatenate([part.token_counts for part in parts]),
            truncated=np.concatenate([part.truncated for part in parts]),
            model=parts[0].model,
            quantization=parts[0].quantization,
        )


def _part(offsets: npt.NDArray[np.int64], index: int) -> slice:
    count = len(offsets) - 1
    if not -count <= index < count:
        raise IndexError(f"there are {count} inputs, none at {index}")
    index %= count
    return slice(int(offsets[index]), int(offsets[index + 1]))


def _joined_offsets(parts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    counts = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
