"""What an export measured, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nearfield_server.export.graphs import Written
from nearfield_server.export.measure import Closeness
from nearfield_server.export.tasks import Task

__all__ = ["Report", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file. `judged` is 100 times Spearman on the pairs of --eval; an image tower counts images per second."""

    file: str
    bytes: int
    closeness: Closeness
    batch_dependence: float
    texts_per_second: float
    written: Written
    judged: float | None = None


@dataclass
class Report:
    """All rows of one export, by precision; `images` those of the image tower."""

    task: Task
    judged: bool
    rows: dict[str, Row] = field(default_factory=dict)
    images: dict[str, Row] = field(default_factory=dict)

    def add(self, precision: str, row: Row) -> None:
        """Takes the row of a precision."""
        self.rows[precision] = row

    def add_images(self, precision: str, row: Row) -> None:
        """Takes the row of a precision of the image tower."""
        self.images[precision] = row

    def everything(self) -> Iterator[tuple[str, Row]]:
        """All rows under the names that a person reads."""
        yield from self.rows.items()
        for precision, row in self.images.items():
            yield f"{precision} images", row
