"""New items into kept clusterings, and how unlike the clustered ones they are (drift).

Drift is watched on the latest 1,000 items of each clustering: the population stability index (PSI) of their distances
to the nearest centroid over the tenths of the clustered items' own. A fixed limit would be wrong, since chance alone
gives a PSI of about (bins - 1) / n: n * PSI is distributed about as chi-squared with bins - 1 degrees of freedom
(Yurdakul 2018), so what counts is its ratio to the 99% quantile of that.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace

import numpy as np

from nearfield_server.core.clustering.calls import AssignCall, Assigned, Drift
from nearfield_server.core.clustering.kept import KeptClusterings
from nearfield_server.core.clustering.nouns import FloatColumn, IntColumn
from nearfield_server.core.computing.gatherer import Gatherer
from nearfield_server.errors import FailedPrecondition, InvalidInput
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics
from nearfield_server.types import FloatRows

__all__ = ["Assigner", "Watched", "psi"]

_WINDOW = 1000
_LEAST_WINDOW = 100
_MOST_LOADED = 64
"""Clusterings whose centroids are held; the one that wasn't asked for longest goes."""
_CHI_SQUARED_99 = 21.666
"""99% quantile of chi-squared with 9 degrees of freedom: ten bins."""
_FAR_QUANTILE = 0.01
"""Share of items beyond the radius of their cluster that is usual, by the definition of the radius."""
_DEVIATIONS = 3.0


@dataclass(slots=True)
class Watched:
    """All that is needed of one clustering, and what was seen of new items."""

    ids: IntColumn
    centroids: FloatRows
    radii: FloatColumn
    deciles: FloatColumn
    window: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    assigned: int = 0
    far: int = 0
    drift: Drift = field(default_factory=Drift)

    def look_up(self, rows: FloatRows) -> tuple[IntColumn, FloatColumn, FloatColumn]:
        """Give the places of the nearest centroids, strengths and distances: one matrix product."""
        distances = np.clip(1.0 - rows @ self.centroids.T, 0.0, 2.0).astype(np.float32)
        nearest = distances.argmin(axis=1).astype(np.int32)
        least = distances[np.arange(len(rows)), nearest]
        if distances.shape[1] == 1:
            return nearest, np.ones(len(rows), np.float32), least
        next_ = np.partition(distances, 1, axis=1)[:, 1]
        strengths = np.where(next_ > 0, 1.0 - least / np.where(next_ > 0, next_, 1.0), 0.0)
        return nearest, strengths.astype(np.float32), least

    def see(self, distances: FloatColumn, far: FloatColumn) -> None:
        """Remember new items, and tell anew how unlike the latest ones are."""
        self.assigned += len(distances)
        self.far += int(far.sum())
        self.window.extend(zip(distances.tolist(), far.tolist(), strict=True))
        count = len(self.window)
        latest, beyond = (np.array(one) for one in zip(*self.window, strict=True))
        share = float(beyond.mean())
        ratio = psi(latest, self.deciles) * count / _CHI_SQUARED_99 if count >= _LEAST_WINDOW else 0.0
        usual = _FAR_QUANTILE + _DEVIATIONS * float(np.sqrt(_FAR_QUANTILE * (1.0 - _FAR_QUANTILE) / count))
        self.drift = Drift(
            assigned=self.assigned,
            far=self.far,
            window=count,
            far_share=share,
            drift_ratio=ratio,
            recluster_due=ratio > 1.0 and share > usual,
        )


class Assigner:
    """Assigns. Used on the event loop."""

    def __init__(self, kept: KeptClusterings, gatherer: Gatherer, metrics: ClusterMetrics) -> None:
        """Look into `kept`, and embed by `gatherer`."""
        self._kept = kept
        self._gatherer = gatherer
        self._metrics = metrics
        self._loaded: OrderedDict[str, Watched] = OrderedDict()

    async def assign(self, call: AssignCall) -> Assigned:
        """Put items into clusters.

        Raises:
            ClusteringNotFound: there is none of that id.
            InvalidInput: the items are wrong, or of another width.
            FailedPrecondition: its model is served in another version; or it has no clusters.
            NearfieldError: as `Embedder.embed`.
        """
        head = self._kept.head(call.id)
        if not head.clusters:
            raise FailedPrecondition(f"clusterings/{call.id}", "it has no clusters: all of its items are noise")
        origin = head.origin
        if call.items.vectors is None and not origin.model:
            raise InvalidInput("items.vectors", "this clustering is of the caller's own vectors: send vectors")
        options = replace(head.embedding, model=origin.model, dimensions=origin.dimensions)
        found = await self._gatherer.rows(call.items, options, call.caller)
        if found.model and found.model_version != origin.model_version:
            text = f"{found.model} is served in another version than the one that was clustered by: cluster anew"
            raise FailedPrecondition(f"models/{found.model}", text)
        if found.rows.shape[1] != origin.dimensions:
            text = f"{found.rows.shape[1]} dimensions; the clustering has {origin.dimensions}"
            raise InvalidInput("items.vectors", text, dimensions=origin.dimensions)
        loaded = await self._load(call.id)
        nearest, strengths, distances = await asyncio.to_thread(loaded.look_up, found.rows)
        far = distances > loaded.radii[nearest]
        if not call.dry_run:
            loaded.see(distances, far)
            self._metrics.assigned(int((~far).sum()), int(far.sum()))
            self._tell()
        ids = loaded.ids[nearest]
        return Assigned(
            clusters=np.where(far, -1, ids).astype(np.int32),
            nearest=ids,
            strengths=strengths,
            distances=distances,
            drift=loaded.drift,
        )

    def forget(self, id_: str) -> None:
        """Let go of a clustering that was deleted."""
        self._loaded.pop(id_, None)

    async def _load(self, id_: str) -> Watched:
        if (found := self._loaded.get(id_)) is not None:
            self._loaded.move_to_end(id_)
            return found
        whole = await self._kept.load(id_)
        loaded = Watched(
            ids=np.array([one.id for one in whole.clusters], np.int32),
            centroids=whole.arrays.centroids.copy(),
            radii=np.array([one.radius for one in whole.clusters], np.float32),
            deciles=whole.arrays.deciles.copy(),
        )
        # Somebody else may have loaded it meanwhile, and counted already.
        found = self._loaded.setdefault(id_, loaded)
        while len(self._loaded) > _MOST_LOADED:
            self._loaded.popitem(last=False)
        return found

    def _tell(self) -> None:
        drifts = [one.drift for id_, one in self._loaded.items() if self._kept.has(id_)]
        self._metrics.drift(
            max((one.drift_ratio for one in drifts), default=0.0), sum(one.recluster_due for one in drifts)
        )


def psi(distances: FloatColumn, deciles: FloatColumn) -> float:
    """Give the population stability index of distances against ten equal shares with these borders."""
    bins = len(deciles) + 1
    counts = np.bincount(np.searchsorted(deciles, distances, side="right"), minlength=bins)
    # Half an item more in each: empty bins must not make it infinite.
    shares = (counts + 0.5) / (len(distances) + 0.5 * bins)
    return float(((shares - 1.0 / bins) * np.log(shares * bins)).sum())
