"""What the store asks the index, and how it is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from nearfield_server.config.machine import effective_cpu_count
from nearfield_server.types import Filter, SparseRow, Vector

__all__ = ["IndexFilter", "IndexNotReady", "IndexQuery", "IndexSettings", "Rows"]


class IndexNotReady(Exception):
    """The index can't answer this now, or never could; exact search answers instead. The text says why."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Points of these rows; it stands in a filter where `Ids` was."""

    rows: tuple[int, ...]


IndexFilter: TypeAlias = Filter | Rows
"""A filter without `Ids`. `And`, `Or` and `Not` may hold `Rows` too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How an index is built, searched and looked after.

    ef: candidates looked at by a query that names no number; 96 gave recall@10 above 0.95 in every measurement.
    rebuild_rows: changes that a new generation is worth while writes go on; fewer are scanned in under a millisecond.
    busy_share: changes, as a share of the generation's points, that are worth a new one while writes go on.
    build_threads: threads of a build; all cores but one, so that serving keeps one.
    quiet_seconds: time without a write after which a collection counts as quiet, and is indexed to the end.
    answer_seconds: time after which a worker counts as hung and is killed.
    oversampling: how many more candidates the int8 search gives to rescoring.
    restart_seconds, longest_restart_seconds: wait before a lost worker is replaced, doubled with each loss in a row.
    """

    ef: int = 96
    rebuild_rows: int = 5000
    busy_share: float = 0.5
    build_threads: int = field(default_factory=lambda: max(1, effective_cpu_count() - 1))
    quiet_seconds: float = 10.0
    answer_seconds: float = 30.0
    oversampling: float = 2.0
    restart_seconds: float = 0.2
    longest_restart_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """One ranked list: by `dense` or by `sparse`, exactly one of them. `ef` 0: as set; `exact`: compare all points."""

    tenant: str
    limit: int
    dense: Vector | None = None
    sparse: SparseRow | None = None
    filter: IndexFilter | None = None
    exclude_rows: tuple[int, ...] = ()
    exact: bool = False
    ef: int = 0
