"""What callers hand in to be clustered, compared, projected or learnt from."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield_server.types import AS_CONFIGURED, Consistency, Filter, FloatRows, Input, PointId

__all__ = ["Caller", "CollectionSource", "Items", "Origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Things sent along: `inputs`, `vectors` or both, of the same number; `ids` one each, or none."""

    inputs: tuple[Input, ...] = ()
    vectors: FloatRows | None = None
    ids: tuple[PointId, ...] = ()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.inputs) if self.vectors is None else len(self.vectors)

    @property
    def texts(self) -> list[str]:
        """The text of each; empty where it has none."""
        return [one if isinstance(one, str) else "" for one in self.inputs] or [""] * len(self)

    def part(self, rows: range) -> Items:
        """Give some of them, that stand side by side."""
        chosen = slice(rows.start, rows.stop)
        return Items(
            inputs=self.inputs[chosen],
            vectors=None if self.vectors is None else self.vectors[chosen],
            ids=self.ids[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSource:
    """Points of a collection."""

    collection: str
    tenant: str = ""
    condition: Filter | None = None
    consistency: Consistency = AS_CONFIGURED


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where vectors came from. `collection`, `model` "": none. `dropped`: points that have no direction."""

    collection: str = ""
    model: str = ""
    model_version: str = ""
    dimensions: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as the server itself knows it, and until when he waits (monotonic seconds)."""

    deadline: float | None = None
    identity: str = ""
