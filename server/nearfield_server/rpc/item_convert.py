"""Items to cluster, compare, project or learn from: from messages to plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nearfield.v1 import cluster_pb2
from nearfield_server.core.computing.items import CollectionSource, Items
from nearfield_server.errors import InvalidInput, NearfieldError
from nearfield_server.rpc import convert, payload
from nearfield_server.rpc.enums import INPUT_TYPES, TRUNCATES
from nearfield_server.rpc.points import filter_in
from nearfield_server.types import EmbedOptions, Input, Limits, PointId, Priority, Truncate

__all__ = ["Checked", "checked_items", "collection_source", "embedding", "items", "seconds"]


@dataclass(slots=True)
class Checked:
    """Items of a stream's message: those that are well-formed, their positions in it, and why the others aren't."""

    items: Items
    rows: list[int] = field(default_factory=list)
    failures: dict[int, NearfieldError] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many items the message has."""
        return len(self.rows) + len(self.failures)


def items(path: str, message: cluster_pb2.ClusterItems, limits: Limits, most: int) -> Items:
    """Give 1 to `most` items. Raises `InvalidInput` or `TextTooLong` that names the first one that is wrong."""
    checked = checked_items(path, message, limits, most)
    if checked.failures:
        raise checked.failures[min(checked.failures)]
    return checked.items


def checked_items(path: str, message: cluster_pb2.ClusterItems, limits: Limits, most: int) -> Checked:
    """Give those of 1 to `most` items that are well-formed. Raises `InvalidInput` for what is wrong with all."""
    vectors = convert.float_rows(f"{path}.vectors", message.vectors) if message.HasField("vectors") else None
    count = len(message.inputs) if vectors is None else len(vectors)
    if vectors is not None and message.inputs and len(message.inputs) != count:
        raise InvalidInput(f"{path}.inputs", f"{len(message.inputs)} inputs for {count} vectors: one each is needed")
    if not 1 <= count <= most:
        text = f"{count} in one message; 1 to {most} are allowed: send more in several messages of a stream"
        raise InvalidInput(f"{path}.{'inputs' if vectors is None else 'vectors'}", text, limit=most, count=count)
    if message.ids and len(message.ids) != count:
        raise InvalidInput(f"{path}.ids", f"{len(message.ids)} ids for {count} items: give one each, or none")
    failures = {} if vectors is None else convert.without_direction(f"{path}.vectors", vectors)
    inputs: list[Input] = []
    ids: list[PointId] = []
    rows: list[int] = []
    for row in range(count):
        try:
            one = convert.one_input(f"{path}.inputs[{row}]", message.inputs[row], limits) if message.inputs else ""
            id_ = payload.point_id(f"{path}.ids[{row}]", message.ids[row]) if message.ids else 0
        except NearfieldError as error:
            failures[row] = error
        if row not in failures:
            rows.append(row)
            inputs.append(one)
            ids.append(id_)
    kept = Items(
        inputs=tuple(inputs) if message.inputs else (),
        vectors=None if vectors is None else vectors[rows],
        ids=tuple(ids) if message.ids else (),
    )
    return Checked(kept, rows, failures)


def embedding(path: str, message: cluster_pb2.ClusterEmbedding, *, bulk: bool = False) -> EmbedOptions:
    """Give how texts are embedded. Raises `InvalidInput`."""
    return EmbedOptions(
        model=convert.check_model_name(f"{path}.model", message.model),
        input_type=convert.enum_value(f"{path}.input_type", message.input_type, INPUT_TYPES, None),
        truncate=convert.enum_value(f"{path}.truncate", message.truncate, TRUNCATES, Truncate.END),
        dimensions=message.dimensions if message.HasField("dimensions") else None,
        priority=Priority.BULK if bulk else Priority.INTERACTIVE,
    )


def collection_source(path: str, message: cluster_pb2.ClusterCollection) -> CollectionSource:
    """Give which points. Raises `InvalidInput`."""
    if not message.collection:
        raise InvalidInput(f"{path}.collection", "must name a collection (ListCollections tells the names)")
    return CollectionSource(
        collection=convert.check_model_name(f"{path}.collection", message.collection),
        tenant=payload.tenant(f"{path}.tenant", message.tenant),
        condition=filter_in(message),
        consistency=convert.read_consistency(message),
    )


def seconds(path: str, message: Any, most: float) -> float:
    """Give a Duration `path` of a request, in seconds; 0 where it is unset. Raises `InvalidInput` outside [0, most]."""
    if not message.HasField(path):
        return 0.0
    duration = getattr(message, path)
    value = duration.seconds + duration.nanos / 1e9
    if not 0 <= value <= most:
        raise InvalidInput(path, f"must be between 0 and {most:g} seconds", limit=most)
    return float(value)
