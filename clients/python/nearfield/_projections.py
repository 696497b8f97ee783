"""Maps: what callers ask for, the messages, and what the server gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, TypedDict, cast

import numpy as np
import numpy.typing as npt

from nearfield._convert import check_options, enum_name, enum_number
from nearfield._errors import InternalError, NearfieldError
from nearfield._inputs import make_item, one_or_many
from nearfield._options import InputType, Truncate
from nearfield._payload import id_message, id_of, instant_of
from nearfield._search_requests import filter_fields
from nearfield._search_types import FilterLike, Id
from nearfield._status import error_of_status
from nearfield._upsert import vector_bytes
from nearfield.v1 import cluster_pb2, types_pb2

__all__ = [
    "PlaceOptions",
    "ProjectOptions",
    "Projection",
    "ProjectionMethod",
    "ProjectionProgress",
    "Reading",
    "messages",
    "options_message",
    "place_message",
    "projection_of",
]

ProjectionMethod: TypeAlias = Literal["pca", "pacmap", "umap", "tsne"]
_BATCH_ITEMS = 128
_BATCH_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class ProjectionProgress:
    """How far a map is: the stage, the share of the work that is done, items taken in, and the time left if known."""

    stage: str
    fraction: float
    items: int
    remaining: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A map; the fields mean what they mean in `nearfield.v1.Projection`.

    Attributes:
        coordinates: where items are, float32 [items, components]; no rows in lists of maps.
        ids: of those items, of a collection or as the caller gave them; else empty.
        positions: of each row in the input, int64; not 0, 1, 2 … where items failed.
        errors: why items of the input are left out, by their position.
    """

    id: str
    method: ProjectionMethod
    components: int
    seed: int
    neighbors: int
    collection: str
    model: str
    model_version: str
    dimensions: int
    items: int
    dropped: int
    trustworthiness: float | None
    warnings: tuple[str, ...]
    stage_seconds: Mapping[str, float]
    peak_memory_bytes: int
    created_at: datetime
    expires_at: datetime | None
    coordinates: npt.NDArray[np.float32] = field(repr=False)
    ids: tuple[Id, ...] = field(default=(), repr=False)
    positions: npt.NDArray[np.int64] = field(repr=False)
    errors: Mapping[int, NearfieldError] = field(default_factory=dict)


class PlaceOptions(TypedDict, total=False):
    """Which items to put into a kept map. Every key may be left out.

    Keys:
        collection: points to project, instead of items.
        tenant: whose points.
        filter: which of them, as an expression or a Filter; None is all.
        ids: what the items are called, one each.
        batch_size: items in one message; 128.
        on_progress: called with every stage and about twice a second.
        timeout: seconds for the whole call; None is no limit, for maps may take minutes.
    """

    collection: str | None
    tenant: str
    filter: FilterLike | None
    ids: Sequence[Id] | None
    batch_size: int
    on_progress: Callable[[ProjectionProgress], None] | None
    timeout: float | None


class ProjectOptions(PlaceOptions, total=False):
    """How to make a map. Every key may be left out; see also `PlaceOptions`.

    Keys:
        method: "pca", "pacmap", "umap" or "tsne"; "pacmap" is the default.
        components: 2 or 3 coordinates of each item; 2.
        seed: start of all random choices; 0.
        neighbors: of an item that are kept near it, 2 to 200; 0 is as the method does.
        model: which texts are embedded by; "" is the server's default model.
        input_type: what the texts are for; "clustering" is the default.
        truncate: what happens to texts that are too long.
        dimensions: width to cut their vectors to; None keeps all.
        keep_seconds: how long the server keeps the map, so that `projection` and `place` find it; 0: it doesn't.
    """

    method: ProjectionMethod
    components: int
    seed: int
    neighbors: int
    model: str
    input_type: InputType | None
    truncate: Truncate | None
    dimensions: int | None
    keep_seconds: float


def options_message(options: ProjectOptions) -> cluster_pb2.ProjectRequest:
    """Make the first message of a new map. Raises TypeError or ValueError."""
    check_options(options, ProjectOptions)
    method = enum_number(cluster_pb2.ProjectionMethod, "PROJECTION_METHOD_", "method", options.get("method", "pacmap"))
    made = cluster_pb2.ProjectOptions(
        method=cast("cluster_pb2.ProjectionMethod", method),
        components=options.get("components", 2),
        seed=options.get("seed", 0),
        neighbors=options.get("neighbors", 0),
        embedding=_embedding(options),
        collection=_collection(options),
    )
    if keep := options.get("keep_seconds", 0.0):
        made.ttl.FromTimedelta(timedelta(seconds=keep))
    return cluster_pb2.ProjectRequest(options=made)


def place_message(projection: str, options: PlaceOptions) -> cluster_pb2.ProjectRequest:
    """Make the first message of placing items. Raises TypeError."""
    check_options(options, PlaceOptions)
    if not projection:
        raise ValueError("projection is empty; give the id of a kept map (client.projections() lists them)")
    made = cluster_pb2.ProjectOptions(projection=projection, collection=_collection(options))
    return cluster_pb2.ProjectRequest(options=made)


def _embedding(options: ProjectOptions) -> cluster_pb2.ClusterEmbedding:
    kind = enum_number(types_pb2.InputType, "INPUT_TYPE_", "input_type", options.get("input_type"))
    truncate = enum_number(types_pb2.Truncate, "TRUNCATE_", "truncate", options.get("truncate"))
    return cluster_pb2.ClusterEmbedding(
        model=options.get("model", ""),
        input_type=cast("types_pb2.InputType", kind),
        truncate=cast("types_pb2.Truncate", truncate),
        dimensions=options.get("dimensions"),
    )


def _collection(options: PlaceOptions) -> cluster_pb2.ClusterCollection | None:
    if not (name := options.get("collection")):
        return None
    return cluster_pb2.ClusterCollection(
        collection=name, tenant=options.get("tenant", ""), **filter_fields(options.get("filter"))
    )


def messages(items: object, options: PlaceOptions) -> Iterator[cluster_pb2.ProjectRequest]:
    """Give the messages that hold the items. Raises TypeError, ValueError or InvalidArgument for what is no item."""
    if options.get("collection"):
        if items is not None:
            raise TypeError("give items or a collection, not both")
        return
    if items is None:
        raise TypeError("give items, or the name of a collection")
    ids = options.get("ids")
    batch = _Batch(_most(options))
    for index, value in enumerate(one_or_many(items)):
        if ids is not None and index >= len(ids):
            raise ValueError(f"{len(ids)} ids for more items than that: give one each")
        if (full := batch.add(value, index)) is not None:
            yield full
        if ids is not None:
            batch.message.ids.append(id_message(ids[index], f"ids[{index}]"))
    if batch.count:
        yield batch.request()
    if ids is not None and len(ids) != batch.seen:
        raise ValueError(f"{len(ids)} ids for {batch.seen} items: give one each")


def _most(options: PlaceOptions) -> int:
    if (most := options.get("batch_size", _BATCH_ITEMS)) < 1:
        raise ValueError(f"batch_size is {most}; it must be at least 1")
    return most


class _Batch:
    """Items of one message: texts and other inputs, or vectors."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: list[bytes] = []
        self._bytes = 0
        self.message = cluster_pb2.ClusterItems()
        self.seen = 0

    @property
    def count(self) -> int:
        return len(self._rows) or len(self.message.inputs)

    def add(self, value: object, index: int) -> cluster_pb2.ProjectRequest | None:
        """Take an item; give the message that had no room for it, or held the other kind or width."""
        place = f"items[{index}]"
        self.seen += 1
        full = None
        if _is_vector(value):
            row = vector_bytes(value, place)
            if self.message.inputs or (self._rows and len(row) != len(self._rows[0])) or self._is_full(len(row)):
                full = self.request()
            self._rows.append(row)
            self._bytes += len(row)
            return full
        item = make_item(value, place).loaded(place)
        if self._rows or self._is_full(item.size_bytes):
            full = self.request()
        self.message.inputs.append(item.message())
        self._bytes += item.size_bytes
        return full

    def _is_full(self, more: int) -> bool:
        return self.count >= self._most or (self.count > 0 and self._bytes + more > _BATCH_BYTES)

    def request(self) -> cluster_pb2.ProjectRequest:
        """Give the message, and begin another."""
        made, self.message = self.message, cluster_pb2.ClusterItems()
        if self._rows:
            rows, self._rows = self._rows, []
            made.vectors.CopyFrom(
                types_pb2.Matrix(
                    dtype=types_pb2.DTYPE_FLOAT32, rows=len(rows), cols=len(rows[0]) // 4, data=b"".join(rows)
                )
            )
        self._bytes = 0
        return cluster_pb2.ProjectRequest(items=made)


def _is_vector(value: object) -> bool:
    """Tell a vector from a sequence of token ids: by its first number."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind == "f")
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], (float, np.floating))


class Reading:
    """Takes a stream's messages; `result` after the last one."""

    def __init__(self, on_progress: Callable[[ProjectionProgress], None] | None = None) -> None:
        """`on_progress` hears how far it is."""
        self._on_progress = on_progress
        self._head: cluster_pb2.Projection | None = None
        self._pages: list[cluster_pb2.CoordinatePage] = []
        self._errors: dict[int, NearfieldError] = {}

    def take(self, message: Any) -> None:
        """Take a message of Project or GetProjection."""
        match message.WhichOneof("message"):
            case "progress":
                if self._on_progress is not None:
                    self._on_progress(_progress_of(message.progress))
            case "failure":
                self._errors[message.failure.index] = error_of_status(message.failure.status)
            case "projection":
                self._head = message.projection
            case "coordinates":
                self._pages.append(message.coordinates)

    def result(self) -> Projection:
        """Give the map. Raises InternalError where the stream wasn't whole."""
        if self._head is None:
            raise InternalError("the stream ended before its result")
        return projection_of(self._head, self._pages, self._errors)


def _progress_of(message: cluster_pb2.ClusteringProgress) -> ProjectionProgress:
    left = message.remaining.ToTimedelta() if message.HasField("remaining") else None
    return ProjectionProgress(message.stage, message.fraction, message.items, left)


def projection_of(
    message: cluster_pb2.Projection,
    pages: Iterable[cluster_pb2.CoordinatePage] = (),
    errors: Mapping[int, NearfieldError] | None = None,
) -> Projection:
    """Give a map, with the coordinates of its pages."""
    pages = list(pages)
    rows = b"".join(one.coordinates.data for one in pages)
    coordinates = np.frombuffer(rows, "<f4").astype(np.float32).reshape(-1, message.components)
    positions = np.frombuffer(b"".join(one.positions for one in pages), "<u8").astype(np.int64)
    return Projection(
        id=message.id,
        method=cast("ProjectionMethod", enum_name(cluster_pb2.ProjectionMethod, "PROJECTION_METHOD_", message.method)),
        components=message.components,
        seed=message.seed,
        neighbors=message.neighbors,
        collection=message.collection,
        model=message.model,
        model_version=message.model_version,
        dimensions=message.dimensions,
        items=message.items,
        dropped=message.dropped,
        trustworthiness=message.trustworthiness if message.HasField("trustworthiness") else None,
        warnings=tuple(message.warnings),
        stage_seconds=dict(message.stage_seconds),
        peak_memory_bytes=message.peak_memory_bytes,
        created_at=instant_of(message.created_at),
        expires_at=instant_of(message.expires_at) if message.HasField("expires_at") else None,
        coordinates=coordinates,
        ids=tuple(id_of(id_) for one in pages for id_ in one.ids),
        positions=positions if len(positions) else np.arange(len(coordinates), dtype=np.int64),
        errors=dict(errors or {}),
    )
