"""A query to what the engines search by: its vector, its words, and the points that it must not find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.search_calls import Caller, FieldName, Image, PointRef, Query, Text
from nearfield_server.engines.base import Store
from nearfield_server.errors import FailedPrecondition, InvalidInput, PointNotFound
from nearfield_server.types import FloatRows, Input, InputType, PointId, Selection, SparseRow, Vector

__all__ = ["QueryVectors", "Words"]

_VECTOR_ONLY = Selection(payload=False, text=False, vector=True)


@dataclass(frozen=True, slots=True)
class Words:
    """A query's words, and how many of them count."""

    row: SparseRow

    @property
    def empty(self) -> bool:
        """Whether it has no word that could be found: stop words and symbols don't count."""
        return not len(self.row.ids)


class QueryVectors:
    """Turns queries into vectors and words."""

    def __init__(self, vectors: CollectionVectors) -> None:
        """Use `vectors` for what callers and models give."""
        self._vectors = vectors

    async def dense(
        self, store: Store, tenant: str, queries: Sequence[Query], caller: Caller, field: FieldName
    ) -> tuple[FloatRows, tuple[PointId, ...]]:
        """Give `[len(queries), dimensions]` as the engine wants them, and the ids of the points among the queries.

        Raises:
            PointNotFound: a query names a point that isn't there.
            NearfieldError: as `CollectionVectors`; `field` says how the request names the n-th query.
        """
        spec = store.spec
        given = [index for index, one in enumerate(queries) if isinstance(one, np.ndarray)]
        if len(given) == len(queries):
            return self._vectors.checked(spec, [_vector(one) for one in queries], field), ()
        rows = np.empty((len(queries), spec.dimensions), np.float32)
        if given:
            rows[given] = self._vectors.checked(
                spec, [_vector(queries[one]) for one in given], lambda at: field(given[at])
            )
        embedded = [index for index, one in enumerate(queries) if isinstance(one, (Text, Image))]
        if embedded:
            inputs: list[Input] = [_input(queries[index]) for index in embedded]
            rows[embedded] = await self._vectors.embed(
                spec, inputs, InputType.QUERY, caller.priority, caller.deadline, caller.identity,
                lambda at: field(embedded[at]),
            )  # fmt: skip
        refs = {index: one.id for index, one in enumerate(queries) if isinstance(one, PointRef)}
        if refs:
            await self._stored(store, tenant, refs, rows, field)
        return rows, tuple(dict.fromkeys(refs.values()))

    async def _stored(
        self, store: Store, tenant: str, refs: dict[int, PointId], rows: FloatRows, field: FieldName
    ) -> None:
        found = {one.id: one.vector for one in await store.get(tenant, list(refs.values()), _VECTOR_ONLY)}
        for index, id_ in refs.items():
            vector = found.get(id_)
            if vector is None:
                raise PointNotFound(field(index), id_)
            rows[index] = vector

    async def words(self, store: Store, query: Query, field: str) -> Words:
        """Give the words of a query. Raises `InvalidInput` where it is no text, `FailedPrecondition` without words."""
        if store.spec.keyword is None:
            subject = f"collections/{store.spec.name}"
            raise FailedPrecondition(subject, "the collection keeps no words (keyword_search.disabled): search DENSE")
        if not isinstance(query, Text):
            raise InvalidInput(field, "KEYWORD and HYBRID search need a text")
        return Words(await self._vectors.query_words(store.spec, query.text))


def _vector(query: Query) -> Vector:
    assert isinstance(query, np.ndarray)  # noqa: S101 - chosen by its type
    return query


def _input(query: Query) -> Input:
    assert isinstance(query, (Text, Image))  # noqa: S101 - chosen by its type
    return query.text if isinstance(query, Text) else query.data
