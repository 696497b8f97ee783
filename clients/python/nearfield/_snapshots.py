"""Snapshots: what the server tells of them, and the requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from nearfield._search_requests import info_of
from nearfield._search_types import CollectionInfo
from nearfield.v1 import search_pb2

__all__ = ["OnProgress", "Snapshot", "SnapshotProgress", "end_of_create", "end_of_restore", "snapshot_of"]


@dataclass(frozen=True, slots=True)
class SnapshotProgress:
    """Points done and in all (an estimate where others write meanwhile), and bytes written or read."""

    points: int
    total: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that is whole; `collection` is what it was made of, as it was."""

    name: str
    collection: CollectionInfo
    created_at: datetime
    points: int
    bytes: int


OnProgress: TypeAlias = Callable[[SnapshotProgress], None]


def snapshot_of(message: search_pb2.Snapshot) -> Snapshot:
    """Give a snapshot."""
    return Snapshot(
        name=message.name,
        collection=info_of(message.collection),
        created_at=message.created_at.ToDatetime(UTC),
        points=message.points,
        bytes=message.bytes,
    )


def end_of_create(message: search_pb2.CreateSnapshotResponse, on_progress: OnProgress | None) -> Snapshot | None:
    """Give the snapshot that a message brings; None: it brings progress, which is handed on."""
    return snapshot_of(message.snapshot) if _last(message, "snapshot", on_progress) else None


def end_of_restore(
    message: search_pb2.RestoreSnapshotResponse, on_progress: OnProgress | None
) -> CollectionInfo | None:
    """Give the collection that a message brings; None: it brings progress, which is handed on."""
    return info_of(message.collection) if _last(message, "collection", on_progress) else None


def _last(message: Any, name: str, on_progress: OnProgress | None) -> bool:
    if message.WhichOneof("event") == name:
        return True
    if on_progress is not None:
        one = message.progress
        on_progress(SnapshotProgress(one.points, one.total, one.bytes))
    return False
