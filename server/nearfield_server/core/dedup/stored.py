"""The nearest points of a collection, as duplicates that came before the stream began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfield_server.core.computing.gatherer import Embedded
from nearfield_server.core.computing.items import CollectionSource, Items
from nearfield_server.core.dedup import lexical
from nearfield_server.core.dedup.exact import same_text
from nearfield_server.core.dedup.nouns import Found, Kind, Reference
from nearfield_server.core.dedup.seen import agree, reaches
from nearfield_server.engines.base import Store
from nearfield_server.errors import FailedPrecondition, InvalidInput, Unsupported
from nearfield_server.types import EngineHit, EngineQuery, FloatRows, PointId, Record, Selection, SimilarityMetric

__all__ = ["StoredPoints"]

_HITS, _WITH_WORDS = 4, 16
_SAME = 0.98
"""Points as similar as this may have the same text. The same one is embedded a little differently beside others."""
_SAME_VECTOR = 1e-5


@dataclass(frozen=True, slots=True)
class StoredPoints:
    """Points of one store that items are compared with."""

    store: Store
    source: CollectionSource
    lexical_check: bool

    def check(self) -> None:
        """Raise `Unsupported` where a cosine says nothing about the collection."""
        if self.store.spec.metric is not SimilarityMetric.COSINE:
            text = "thresholds are cosines, and this collection compares otherwise: make one with COSINE"
            raise Unsupported("options.collection.collection", text)

    def check_same(self, found: Embedded) -> None:
        """Check that vectors compare with those of the points. Raises `FailedPrecondition` or `InvalidInput`."""
        spec, width = self.store.spec, found.rows.shape[1]
        if found.model and (found.model, found.model_version) != (spec.model, spec.model_version):
            made = f"model {spec.model}, version {spec.model_version}" if spec.model else "vectors of its callers"
            text = f"the collection is of {made}, the items of {found.model}, version {found.model_version}"
            raise FailedPrecondition(
                f"collections/{spec.name}", f"{text}: they don't compare; use its model, or send vectors"
            )
        if width != spec.dimensions:
            text = f"{width} dimensions; the collection has {spec.dimensions}"
            raise InvalidInput("items.vectors", text, dimensions=spec.dimensions)

    async def nearest(self, items: Items, rows: FloatRows, threshold: float) -> list[Found]:
        """Tell what each item is, compared with the points."""
        tenant, condition = self.source.tenant, self.source.condition
        many = _WITH_WORDS if self.lexical_check else _HITS
        queries = [EngineQuery(tenant=tenant, limit=many, dense=row, filter=condition) for row in rows]
        ranked = [one.hits for one in await self.store.search(queries)]
        least = min(_SAME, threshold - lexical.SLACK) if self.lexical_check else _SAME
        wanted = {hit.id: None for hits in ranked for hit in hits if hit.score >= least}
        select = Selection(payload=False, text=True, vector=not items.inputs)
        records = await self.store.get(tenant, list(wanted), select) if wanted else []
        known = {one.id: one for one in records}
        return [
            self._found(text, row, hits, known, threshold)
            for text, row, hits in zip(items.texts, rows, ranked, strict=True)
        ]

    def _found(
        self, text: str, row: FloatRows, hits: Sequence[EngineHit], known: dict[PointId, Record], threshold: float
    ) -> Found:
        for hit in hits:
            if hit.id in known and _is_same(text, row, known[hit.id]):
                return _of(Kind.EXACT, hit)
        for hit in hits:
            if not self.lexical_check:
                if reaches(hit.score, threshold):
                    return _of(Kind.NEAR, hit)
                break
            record = known.get(hit.id)
            if record is not None and agree(
                lexical.words_of(text), lexical.words_of(record.text), hit.score, threshold
            ):
                return _of(Kind.NEAR, hit)
        return _of(Kind.UNIQUE, hits[0]) if hits else Found(Kind.UNIQUE)


def _of(kind: Kind, hit: EngineHit) -> Found:
    return Found(kind, Reference(hit.id, in_collection=True), min(1.0, hit.score))


def _is_same(text: str, row: FloatRows, record: Record) -> bool:
    if text:
        return same_text(text) == same_text(record.text)
    return record.vector is not None and bool(np.abs(record.vector - row).max() <= _SAME_VECTOR)
