"""Tokens or pixels to what the model gives of them: pad, run, pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.backends.base import Backend
from nearfield_server.errors import BackendFailure
from nearfield_server.types import (
    FloatRows,
    IdArray,
    ModelSpec,
    OutputKind,
    Outputs,
    OutputShape,
    Pooling,
    SparseRow,
    Tokens,
    VisionTower,
)
from nearfield_server.vectors.pooling import pool
from nearfield_server.vectors.sparse import sparse_rows

__all__ = ["Encoder"]

_Arrays = dict[str, npt.NDArray[Any]]


class Encoder:
    """Runs batches of one model on one device; called from several threads at once."""

    def __init__(self, spec: ModelSpec, backend: Backend, vision: Backend | None = None) -> None:
        """Use `backend` as `spec` says, and for images `vision`, if they have a graph of their own."""
        self._spec = spec
        self._backend = backend
        self._vision = vision
        self._wanted = {one.name for one in backend.signature.inputs}

    def __call__(self, batch: Sequence[Tokens]) -> list[Outputs]:
        """Give what is wanted of each: raw, not normalised.

        Raises:
            BackendFailure: the graph raised, or gave another shape than its files say.
        """
        images = [index for index, one in enumerate(batch) if one.pixels is not None]
        if not images:
            return self._texts(batch)
        rows: list[Outputs] = [Outputs()] * len(batch)
        texts = [index for index, one in enumerate(batch) if one.pixels is None]
        for indices, run in ((images, self._images), (texts, self._texts)):
            if indices:
                for index, row in zip(indices, run([batch[index] for index in indices]), strict=True):
                    rows[index] = row
        return rows

    def close(self) -> None:
        """Give the graphs' memory back."""
        self._backend.close()
        if self._vision is not None:
            self._vision.close()

    def _texts(self, batch: Sequence[Tokens]) -> list[Outputs]:
        lengths = np.array([len(one.ids) for one in batch])
        shape = (len(batch), int(lengths.max()))
        # Padding is on the right: attention fusion assumes it.
        ids = np.full(shape, self._spec.pad_id, np.int64)
        present = (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)
        mask = present
        type_ids = np.zeros(shape, np.int64)
        for row, one in enumerate(batch):
            ids[row, : len(one.ids)] = one.ids
            if one.type_ids is not None:
                type_ids[row, : len(one.ids)] = one.type_ids
            if one.mask is not None:
                mask = present.copy() if mask is present else mask
                mask[row, : len(one.ids)] = one.mask
        kinds = frozenset[OutputKind]().union(*(one.wanted for one in batch))
        names = {kind: self._output_name(kind) for kind in kinds}
        fetched = list(dict.fromkeys(names.values()))
        found = dict(zip(fetched, self._backend.run(self._feeds(ids, mask, type_ids), fetched), strict=True))
        graph = {kind: found[name] for kind, name in names.items()}
        return self._split(batch, ids, mask, graph)

    def _split(
        self, batch: Sequence[Tokens], ids: IdArray, mask: IdArray, graph: dict[OutputKind, npt.NDArray[Any]]
    ) -> list[Outputs]:
        """Give each text its part of what the graph gave by kind."""
        dense: FloatRows | None = None
        sparse: list[SparseRow] | None = None
        if OutputKind.DENSE in graph:
            dense = self._dense(graph[OutputKind.DENSE], mask)
        if OutputKind.SPARSE in graph and (head := self._spec.sparse) is not None:
            sparse = sparse_rows(graph[OutputKind.SPARSE], ids, mask, head)
        scores, multi = graph.get(OutputKind.SCORES), graph.get(OutputKind.MULTI)
        if scores is not None and self._spec.scores is not None:
            self._check_shape(scores, (len(batch), len(self._spec.scores.labels)))
        if multi is not None and self._spec.multi is not None:
            self._check_shape(multi, (*ids.shape, self._spec.multi.dimensions))
        rows = []
        for index, one in enumerate(batch):
            wanted = one.wanted
            rows.append(
                Outputs(
                    dense=dense[index] if dense is not None and OutputKind.DENSE in wanted else None,
                    sparse=sparse[index] if sparse is not None and OutputKind.SPARSE in wanted else None,
                    multi=_kept(multi[index], one) if multi is not None and OutputKind.MULTI in wanted else None,
                    scores=scores[index] if scores is not None and OutputKind.SCORES in wanted else None,
                )
            )
        return rows

    def _dense(self, output: npt.NDArray[Any], mask: IdArray) -> FloatRows:
        spec = self._spec
        pooled = spec.output_shape is OutputShape.POOLED
        rows = output if pooled else pool(output, mask, spec.pooling or Pooling.MEAN)
        self._check_shape(rows, (len(mask), spec.dimensions))
        return np.asarray(rows, np.float32)

    def _images(self, batch: Sequence[Tokens]) -> list[Outputs]:
        tower = self._tower()
        pixels = np.stack([one.pixels for one in batch if one.pixels is not None])
        feeds: _Arrays = {"pixel_values": pixels}
        if self._vision is None:
            # One graph for both towers wants texts too: the shortest there is.
            ids = np.full((1, 1), self._spec.pad_id, np.int64)
            feeds |= self._text_feeds(ids, np.ones_like(ids), np.zeros_like(ids))
        (rows,) = (self._vision or self._backend).run(feeds, [tower.output_name])
        self._check_shape(rows, (len(batch), self._spec.dimensions))
        return [Outputs(dense=row) for row in np.asarray(rows, np.float32)]

    def _feeds(self, ids: IdArray, mask: IdArray, type_ids: IdArray) -> _Arrays:
        feeds = self._text_feeds(ids, mask, type_ids)
        if "pixel_values" in self._wanted:
            height, width = self._tower().size
            feeds["pixel_values"] = np.zeros((1, 3, height, width), np.float32)
        return feeds

    def _text_feeds(self, ids: IdArray, mask: IdArray, type_ids: IdArray) -> _Arrays:
        feeds: _Arrays = {"input_ids": ids}
        if "attention_mask" in self._wanted:
            feeds["attention_mask"] = mask
        if "token_type_ids" in self._wanted:
            feeds["token_type_ids"] = type_ids
        if "position_ids" in self._wanted:
            feeds["position_ids"] = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy()
        return feeds

    def _output_name(self, kind: OutputKind) -> str:
        spec = self._spec
        head = {OutputKind.SPARSE: spec.sparse, OutputKind.MULTI: spec.multi, OutputKind.SCORES: spec.scores}.get(kind)
        return spec.output_name if head is None else head.output_name

    def _tower(self) -> VisionTower:
        if self._spec.vision is None:
            msg = "an image for a model without a vision tower; this is a bug"
            raise AssertionError(msg)
        return self._spec.vision

    @staticmethod
    def _check_shape(rows: npt.NDArray[Any], due: tuple[int, ...]) -> None:
        if rows.shape != due:
            msg = f"the graph gave an output of shape {rows.shape} where {due} was due"
            raise BackendFailure(msg)


def _kept(vectors: npt.NDArray[Any], one: Tokens) -> FloatRows:
    own = vectors[: len(one.ids)]
    return np.array(own if one.keep is None else own[one.keep], np.float32)
