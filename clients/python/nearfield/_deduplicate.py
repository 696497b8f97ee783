"""What a deduplication sends and learns, without I/O.

Messages are made in one thread or task, and replies taken in another. Verdicts are given in the order of the items,
whatever the order of the replies. An item that can't be sent gets a verdict of its own and touches no other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from nearfield._convert import check_options, enum_name, enum_number
from nearfield._dedup_types import DeduplicateOptions, DuplicateKind, DuplicateVerdict
from nearfield._errors import InvalidArgument
from nearfield._inputs import make_item
from nearfield._payload import id_message, id_of
from nearfield._search_requests import filter_fields
from nearfield._status import error_of_status
from nearfield._upsert import vector_bytes
from nearfield.v1 import cluster_pb2, types_pb2

__all__ = ["DedupPlan"]

_BATCH_ITEMS = 128
_BATCH_BYTES = 2 * 2**20


@dataclass(slots=True)
class _Batch:
    """Items that go together: of one kind, from number `first` on; `failed` are those that couldn't be sent."""

    first: int
    count: int = 0
    size_bytes: int = 0
    kind: tuple[bool, int] | None = None
    inputs: list[types_pb2.Input] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    failed: dict[int, InvalidArgument] = field(default_factory=dict)


class DedupPlan:
    """One deduplication, from its first item to its last verdict."""

    def __init__(self, options: DeduplicateOptions) -> None:
        """Check the options. Raises TypeError or ValueError."""
        check_options(options, DeduplicateOptions)
        self._batch_items = options.get("batch_size") or _BATCH_ITEMS
        if self._batch_items < 1:
            raise ValueError(f"batch_size is {self._batch_items}; it must be at least 1, or None")
        self.hello = cluster_pb2.DeduplicateRequest(options=_options(options))
        self._open = _Batch(0)
        self._sent: dict[int, _Batch] = {}
        self._messages = 0
        self._answered = 0
        self._waiting: dict[int, cluster_pb2.DeduplicateResult] = {}
        # Numbers of items that were sent before each one that couldn't be: the server counts only those that it saw.
        self._gaps: list[int] = []
        self._seen = 0

    @property
    def is_answered(self) -> bool:
        """Whether nothing is under way."""
        return not self._sent

    def add(self, item: object, id_: object = None) -> Iterator[cluster_pb2.DeduplicateRequest]:
        """Take an item; give what is to be sent now."""
        number = self._open.first + self._open.count + len(self._open.failed)
        try:
            input_, vector = _parts(item, f"items[{number}]")
            name = None if id_ is None else id_message(id_, f"ids[{number}]")
        except InvalidArgument as error:
            self._open.failed[number] = error
            self._gaps.append(self._seen)
            return
        kind = (input_ is not None, len(vector or b""))
        size = len(vector or b"") + (0 if input_ is None else input_.ByteSize()) + 16
        if self._open.count and (self._open.kind != kind or self._open.size_bytes + size > _BATCH_BYTES):
            yield self._message()
        batch = self._open
        batch.kind, batch.count, batch.size_bytes = kind, batch.count + 1, batch.size_bytes + size
        self._seen += 1
        if input_ is not None:
            batch.inputs.append(input_)
        if vector is not None:
            batch.vectors.append(vector)
        if name is not None:
            batch.ids.append(name)
        if batch.count >= self._batch_items:
            yield self._message()

    def last(self) -> Iterator[cluster_pb2.DeduplicateRequest]:
        """Give what is left to be sent, after the last item."""
        if self._open.count:
            yield self._message()

    def verdicts(self, reply: cluster_pb2.DeduplicateResponse) -> Iterator[DuplicateVerdict]:
        """Take a reply; give the verdicts whose turn it is. Raises NearfieldError for a message that was refused."""
        if reply.WhichOneof("outcome") == "error":
            raise error_of_status(reply.error)
        self._waiting[int(reply.id)] = reply.result
        while (result := self._waiting.pop(self._answered, None)) is not None:
            batch = self._sent.pop(self._answered)
            self._answered += 1
            yield from self._of_batch(batch, list(result.verdicts))

    def rest(self) -> Iterator[DuplicateVerdict]:
        """Give the verdicts on items after the last one that could be sent."""
        yield from self._of_batch(self._open, [])

    def _message(self) -> cluster_pb2.DeduplicateRequest:
        batch, number = self._open, self._messages
        self._messages += 1
        self._open = _Batch(batch.first + batch.count + len(batch.failed))
        items = cluster_pb2.ClusterItems(inputs=batch.inputs, ids=batch.ids)
        if batch.vectors:
            items.vectors.rows, items.vectors.cols = len(batch.vectors), len(batch.vectors[0]) // 4
            items.vectors.dtype, items.vectors.data = types_pb2.DTYPE_FLOAT32, b"".join(batch.vectors)
        batch.inputs, batch.vectors, batch.ids = [], [], []
        self._sent[number] = batch
        return cluster_pb2.DeduplicateRequest(items=cluster_pb2.DeduplicateItems(id=str(number), items=items))

    def _of_batch(self, batch: _Batch, found: Sequence[cluster_pb2.DuplicateVerdict]) -> Iterator[DuplicateVerdict]:
        verdicts = iter(found)
        for index in range(batch.first, batch.first + batch.count + len(batch.failed)):
            if (error := batch.failed.get(index)) is not None:
                yield DuplicateVerdict(index, error=error)
            else:
                yield self._verdict(index, next(verdicts))

    def _verdict(self, index: int, message: cluster_pb2.DuplicateVerdict) -> DuplicateVerdict:
        if message.HasField("error"):
            return DuplicateVerdict(index, error=error_of_status(message.error))
        of = None
        if (which := message.WhichOneof("of")) == "point":
            of = id_of(message.point)
        elif which == "index":
            of = message.index + bisect_right(self._gaps, message.index)
        kind = cast("DuplicateKind", enum_name(cluster_pb2.DuplicateKind, "DUPLICATE_KIND_", message.kind))
        return DuplicateVerdict(index, kind, of, message.similarity, message.in_collection)


def _options(options: DeduplicateOptions) -> cluster_pb2.DeduplicateOptions:
    embedding = cluster_pb2.ClusterEmbedding(
        model=options.get("model", ""),
        input_type=_enum(types_pb2.InputType, "INPUT_TYPE_", "input_type", options.get("input_type")),
        truncate=_enum(types_pb2.Truncate, "TRUNCATE_", "truncate", options.get("truncate", "end")),
        dimensions=options.get("dimensions"),
    )
    made = cluster_pb2.DeduplicateOptions(
        embedding=embedding,
        collection_only=options.get("collection_only", False),
        compare_all=options.get("compare_all", False),
        lexical_check=options.get("lexical_check", False),
    )
    if (threshold := options.get("threshold")) is not None:
        made.threshold = threshold
    else:
        level = options.get("level", "normal")
        made.level = _enum(cluster_pb2.DuplicateLevel, "DUPLICATE_LEVEL_", "level", level)
    if (name := options.get("collection")) is not None:
        chosen = filter_fields(options.get("filter"))
        made.collection.CopyFrom(
            cluster_pb2.ClusterCollection(collection=name, tenant=options.get("tenant", ""), **chosen)
        )
    elif options.get("filter") is not None or options.get("tenant"):
        raise ValueError("filter and tenant say which points of a collection: give collection too")
    return made


def _enum(wrapper: Any, prefix: str, option: str, value: str | None) -> Any:
    """Give the number of an enum's value, as untyped as protobuf's stubs want it."""
    return enum_number(wrapper, prefix, option, value)


def _parts(item: object, field_: str) -> tuple[types_pb2.Input | None, bytes | None]:
    """Give what is embedded, and the vector, of an item. Raises InvalidArgument."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):  # noqa: PLR2004 - a text and its vector
        return make_item(item[0], field_).message(), vector_bytes(item[1], field_)
    if _is_vector(item):
        return None, vector_bytes(item, field_)
    return make_item(item, field_).message(), None


def _is_vector(item: object) -> bool:
    if isinstance(item, np.ndarray):
        return bool(item.dtype.kind == "f")
    return isinstance(item, (list, tuple)) and any(isinstance(one, (float, np.floating)) for one in item)
