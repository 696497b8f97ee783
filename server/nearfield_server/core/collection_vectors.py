"""Vectors and words of a collection's points and queries, as its engine wants them.

Texts are embedded only by the model version that the collection was made with: vectors of two versions don't compare.
That version may be served beside a newer one, and is then found by what its files are, not by its name alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from nearfield_server.core.embedder import Embedder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import FailedPrecondition, InvalidInput
from nearfield_server.types import (
    CollectionSpec,
    EmbedCall,
    EmbedOptions,
    FloatRows,
    Input,
    InputType,
    KeywordOptions,
    ModelState,
    Priority,
    SimilarityMetric,
    SparseRow,
    Vector,
)

__all__ = ["CollectionVectors", "KeywordEncoder"]

_MAX_NORM = 1e18
"""Of vectors that aren't normalised: the product of two must be a float32."""
_ENCODERS = 64


class KeywordEncoder(Protocol):
    """Words of texts as sparse vectors; `engines.bm25.Bm25` is one."""

    def documents(self, texts: Sequence[str]) -> list[SparseRow]:
        """Give the weights of the words of each text, without IDF."""
        ...

    def query(self, text: str) -> SparseRow:
        """Give the words of a query."""
        ...


class CollectionVectors:
    """Embeds for collections, and checks vectors that callers bring."""

    def __init__(
        self, embedder: Embedder, models: ModelRegistry, keywords: Callable[[KeywordOptions], KeywordEncoder]
    ) -> None:
        """Embed by `embedder` with the models of `models`; `keywords` makes the encoder of words for some options."""
        self._embedder = embedder
        self._models = models
        self._keywords = lru_cache(_ENCODERS)(keywords)

    async def embed(  # noqa: D417, PLR0913, PLR0917 - who waits, and for what, belongs to one call
        self,
        spec: CollectionSpec,
        inputs: Sequence[Input],
        input_type: InputType,
        priority: Priority,
        deadline: float | None,
        identity: str,
        field: Callable[[int], str],
    ) -> FloatRows:
        """Give `[len(inputs), spec.dimensions]`, of unit length with COSINE.

        Args:
            deadline: monotonic seconds.
            identity: who calls, as the server itself knows it.
            field: gives the name in the request of the n-th input, for errors.

        Raises:
            FailedPrecondition: the collection has no model, or its version of it isn't served.
            NearfieldError: as `Embedder.embed`.
        """
        name = self._served(spec)
        options = EmbedOptions(
            model=name,
            input_type=input_type,
            dimensions=spec.dimensions,
            normalize=True if spec.metric is SimilarityMetric.COSINE else None,
            priority=priority,
        )
        with self._models.lease(name) as model:
            if model.loaded.spec.version != spec.model_version:
                raise _other_version(spec, model.loaded.spec.version)
            try:
                call = EmbedCall(tuple(inputs), options, deadline, identity)
                result = await self._embedder.embed(call, sent=False, held=model)
            except InvalidInput as error:
                raise error.moved(field) from None
        return np.ascontiguousarray(result.matrix, np.float32)

    def checked(self, spec: CollectionSpec, vectors: Sequence[Vector], field: Callable[[int], str]) -> FloatRows:
        """Give callers' own vectors as `[n, spec.dimensions]`, normalised with COSINE. Raises `InvalidInput`.

        Norms are taken in float64, so that the greatest and the smallest float32 have one.
        """
        for index, one in enumerate(vectors):
            if one.shape != (spec.dimensions,):
                text = f"{one.size} components; the collection has {spec.dimensions} (float32, little-endian)"
                raise InvalidInput(field(index), text, dimensions=spec.dimensions)
        if not vectors:
            return np.empty((0, spec.dimensions), np.float32)
        wide = np.array(vectors, np.float64)
        norms = [math.sqrt(one.dot(one)) for one in wide]  # most calls have one vector: few steps count, not fast ones
        if not math.isfinite(sum(norms)):
            _blame([not math.isfinite(one) for one in norms], field, "has NaN or infinite components")
        if spec.metric is not SimilarityMetric.COSINE:
            too_long = f"is longer than {_MAX_NORM:g}: scores would overflow; scale it down"
            _blame([one > _MAX_NORM for one in norms], field, too_long)
            return wide.astype(np.float32)
        _blame([one == 0 for one in norms], field, "is all zero, which has no cosine with anything")
        wide /= np.array(norms)[:, None]
        return wide.astype(np.float32)

    async def document_words(self, spec: CollectionSpec, texts: Sequence[str]) -> list[SparseRow] | None:
        """Give the weights of the words of each text, without IDF; `None` where the collection keeps no words."""
        if spec.keyword is None:
            return None
        return await asyncio.to_thread(self._keywords(spec.keyword).documents, texts)

    async def query_words(self, spec: CollectionSpec, text: str) -> SparseRow:
        """Give the words of a query. Raises `FailedPrecondition` where the collection keeps none."""
        if spec.keyword is None:
            subject = f"collections/{spec.name}"
            raise FailedPrecondition(subject, "the collection keeps no words (keyword_search.disabled)")
        return await asyncio.to_thread(self._keywords(spec.keyword).query, text)

    def check_keywords(self, options: KeywordOptions) -> None:
        """Raise `InvalidInput` for options that no encoder can be made of."""
        self._keywords(options)

    def _served(self, spec: CollectionSpec) -> str:
        """Give the name by which the collection's version of its model is served now; if it isn't, the model's."""
        if not spec.model:
            text = "the collection has no model: its points and queries must bring vectors"
            raise FailedPrecondition(f"collections/{spec.name}", text)
        for served in self._models.all():
            found = served.status.spec
            same = found is not None and found.version == spec.model_version and served.key.name == spec.model
            if same and (served.ready is not None or served.status.state is ModelState.IDLE):
                return str(served.key)
        return spec.model


def _other_version(spec: CollectionSpec, served: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"collections/{spec.name}",
        f"the collection was made with version {spec.model_version} of its model, and {served} is served: "
        "load that version (LoadModel), or embed the collection's texts again into a new one (Reembed)",
    )


def _blame(wrong: Sequence[bool], field: Callable[[int], str], text: str) -> None:
    if True in wrong:
        raise InvalidInput(field(wrong.index(True)), text)
