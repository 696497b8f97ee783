"""What a re-embedding is, and the journal by which it goes on after a restart.

    <folder>/<id>.json    one re-embedding: what was asked for, and how far it is

The journal is written before the new collection is made, and after what was copied is kept: what it says is never ahead
of the collection. A collection in it is the one that it names only if the times of making agree.
"""

from __future__ import annotations

import enum
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nearfield_server.core.json_file import write_json
from nearfield_server.engines.embedded.codec import pack_spec, unpack_spec
from nearfield_server.errors import NearfieldError
from nearfield_server.types import CollectionSpec, SimilarityMetric

__all__ = ["ReembedCall", "ReembedJournal", "ReembedState", "Reembedding", "made_at", "new_name", "vectors_of"]

logger = logging.getLogger("nearfield.search")

_FORMAT = 1
_STAMP = re.compile(r"-\d{8}T\d{6}Z$")
_FINENESS = timedelta(milliseconds=1)
_KEPT = 100
"""Ended ones that are still listed."""


class ReembedState(enum.Enum):
    """Life of a re-embedding."""

    COPYING = "copying"
    SWAPPING = "swapping"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembedCall:
    """What is asked for. `model` "" : the collection's own. `target` "" : a name is made. `aliases` (): all."""

    collection: str
    model: str = ""
    dimensions: int = 0
    metric: SimilarityMetric | None = None
    target: str = ""
    aliases: tuple[str, ...] = ()
    keep_aliases: bool = False
    skip_without_text: bool = False


@dataclass(slots=True, kw_only=True)
class Reembedding:
    """One that is under way, or has ended.

    `position`: number of the last write to the source whose points are in the target. `moved`: aliases that are to be
    moved, or were. `error_…`: why it failed, or what it waits for; `failure`: the same as raised in this process.
    """

    id: str
    call: ReembedCall
    source: str
    source_made: datetime
    spec: CollectionSpec
    started_at: datetime
    state: ReembedState = ReembedState.COPYING
    position: int = 0
    moved: tuple[str, ...] = ()
    copied: int = 0
    skipped: int = 0
    total: int = 0
    points_per_second: float = 0.0
    error_reason: str = ""
    error_message: str = ""
    ended_at: datetime | None = None
    failure: NearfieldError | None = field(default=None, repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing happens any more."""
        return self.state not in {ReembedState.COPYING, ReembedState.SWAPPING}

    def does(self, call: ReembedCall, spec: CollectionSpec) -> bool:
        """Whether it does what `call` asks for, which would make a collection as `spec`."""
        mine = self.call
        return (
            call.target in {"", self.spec.name}
            and vectors_of(spec) == vectors_of(self.spec)
            and (call.aliases, call.keep_aliases, call.skip_without_text)
            == (mine.aliases, mine.keep_aliases, mine.skip_without_text)
        )

    def blame(self, error: NearfieldError | None) -> None:
        """Note why it waits or failed; `None`: it goes on."""
        self.error_reason, self.error_message = (error.reason, error.message) if error is not None else ("", "")


def new_name(source: str, now: datetime) -> str:
    """Give the name of a new collection: the old one's with the time, in place of the time that it ends with."""
    return f"{_STAMP.sub('', source)[:47]}-{now:%Y%m%dT%H%M%SZ}"


def made_at(spec: CollectionSpec, moment: datetime) -> bool:
    """Whether a collection was made at that moment; an engine may keep it less finely."""
    return abs(spec.created_at - moment) < _FINENESS


def vectors_of(spec: CollectionSpec) -> tuple[object, ...]:
    """Give what decides the vectors of a collection's texts."""
    return spec.model, spec.model_version, spec.dimensions, spec.metric


class ReembedJournal:
    """Files in one folder. Calls block: they belong in threads."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, which is made with the first."""
        self._folder = folder

    def load(self) -> list[Reembedding]:
        """Give all, oldest first; a damaged one is left out, and named in the log."""
        found = []
        for file in self._folder.glob("*.json"):
            try:
                found.append(_unpacked(json.loads(file.read_text("utf-8"))))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                logger.warning("%s: can't be read (%s): this re-embedding isn't resumed", file, type(error).__name__)
        return sorted(found, key=lambda one: one.started_at)

    def save(self, one: Reembedding) -> None:
        """Write one; on the disk afterwards. Raises `OSError`."""
        write_json(self._file(one), _packed(one))

    def forget(self, one: Reembedding) -> None:
        """Remove one. Raises `OSError`."""
        self._file(one).unlink(missing_ok=True)

    def trim(self, known: list[Reembedding]) -> list[Reembedding]:
        """Forget the oldest of those that have ended, so that few are kept; give the rest."""
        ended = [one for one in known if one.ended]
        gone = ended[: max(0, len(ended) - _KEPT)]
        for one in gone:
            self.forget(one)
        return [one for one in known if one not in gone]

    def _file(self, one: Reembedding) -> Path:
        return self._folder / f"{one.id}.json"


def _packed(one: Reembedding) -> dict[str, Any]:
    call = one.call
    return {
        "format": _FORMAT,
        "id": one.id,
        "call": {
            "collection": call.collection,
            "model": call.model,
            "dimensions": call.dimensions,
            "metric": None if call.metric is None else call.metric.value,
            "target": call.target,
            "aliases": call.aliases,
            "keep_aliases": call.keep_aliases,
            "skip_without_text": call.skip_without_text,
        },
        "source": one.source,
        "source_made": one.source_made.isoformat(),
        "spec": json.loads(pack_spec(one.spec)),
        "started_at": one.started_at.isoformat(),
        "state": one.state.value,
        "position": one.position,
        "moved": one.moved,
        "copied": one.copied,
        "skipped": one.skipped,
        "total": one.total,
        "error_reason": one.error_reason,
        "error_message": one.error_message,
        "ended_at": None if one.ended_at is None else one.ended_at.isoformat(),
    }


def _unpacked(plain: Mapping[str, Any]) -> Reembedding:
    """Raise `ValueError`, `KeyError` or `TypeError` for what `_packed` never gives."""
    if plain["format"] != _FORMAT:
        msg = f"format {plain['format']}"
        raise ValueError(msg)
    asked = plain["call"]
    metric, ended = asked["metric"], plain["ended_at"]
    call = ReembedCall(
        **{
            **asked,
            "metric": None if metric is None else SimilarityMetric(metric),
            "aliases": tuple(asked["aliases"]),
        }
    )
    same = ("id", "source", "position", "copied", "skipped", "total", "error_reason", "error_message")
    return Reembedding(
        **{name: plain[name] for name in same},
        call=call,
        source_made=datetime.fromisoformat(plain["source_made"]),
        spec=unpack_spec(json.dumps(plain["spec"])),
        started_at=datetime.fromisoformat(plain["started_at"]),
        state=ReembedState(plain["state"]),
        moved=tuple(plain["moved"]),
        ended_at=None if ended is None else datetime.fromisoformat(ended),
    )
