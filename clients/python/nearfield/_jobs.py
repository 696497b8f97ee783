"""Calls that may need several requests: cut, asked in parts, put together again. No I/O: the clients do the asking.

A job's `accept` is called once per part, in any order and from any thread; `result` after all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from nearfield import _methods, _split
from nearfield._errors import EXCHANGED, Aborted, InternalError, NearfieldError, remapped
from nearfield._inputs import Item
from nearfield._model import Model
from nearfield.v1 import types_pb2

__all__ = ["Job", "RangeJob", "check_count", "one_source"]

PartT = TypeVar("PartT")
RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
KeptT = TypeVar("KeptT")


class Job(Protocol[PartT, RequestT, ReplyT]):
    """What a client needs to know of a call in parts."""

    @property
    def method(self) -> _methods.Method[RequestT, ReplyT]:
        """RPC to call for each part."""

    def parts(self, model: Model) -> Sequence[PartT]:
        """Give the parts that `model`'s limits ask for, and begin anew."""

    def request(self, part: PartT) -> RequestT:
        """Make the request of one part."""

    def accept(self, part: PartT, reply: ReplyT) -> None:
        """Take the reply to one part. Raises InternalError when it doesn't fit."""

    def located(self, part: PartT, error: NearfieldError) -> NearfieldError:
        """Give the error of one part with the caller's own indexes."""


class RangeJob(Generic[KeptT]):
    """What jobs have in common whose parts are ranges of inputs; `KeptT` is what they keep of a reply."""

    def __init__(self, items: list[Item], fields: Mapping[str, Any]) -> None:
        """Begin with checked inputs, and the request's other fields."""
        self._items = items
        self._fields = fields
        self._kept: dict[int, KeptT] = {}
        self._expected = -1

    def _cut(self, budget: _split.Budget, field: str = "inputs") -> list[range]:
        """Give the parts. Raises InvalidArgument for an image that is too large by itself."""
        for index, item in enumerate(self._items):
            item.check_size(f"{field}[{index}]", budget.image_bytes)
        self._kept.clear()
        parts = list(_split.split(self._items, budget))
        self._expected = len(parts)
        return parts

    def _inputs(self, part: range) -> list[types_pb2.Input]:
        return [item.message() for item in self._items[part.start : part.stop]]

    def _values(self, part: range) -> list[Any]:
        return [item.value for item in self._items[part.start : part.stop]]

    def _keep(self, part: range, kept: KeptT) -> None:
        self._kept[part.start] = kept

    def _in_order(self) -> list[tuple[int, KeptT]]:
        """Give the start of each part and what was kept of its reply."""
        if len(self._kept) != self._expected:
            raise AssertionError("this is a bug: a result was asked for before every part was answered")
        return sorted(self._kept.items(), key=lambda pair: pair[0])

    def located(self, part: range, error: NearfieldError) -> NearfieldError:
        """Count from the first input of the call."""
        return remapped(error, part)


def check_count(found: int, part: range) -> None:
    """Raise InternalError unless a reply has as many results as its part has inputs."""
    if found != len(part):
        raise InternalError(f"the reply has {found} results for {len(part)} inputs")


def one_source(sources: Sequence[tuple[str, int]]) -> None:
    """Raise Aborted when parts of one call came from several models: vectors of two don't compare."""
    if len(set(sources)) > 1:
        raise Aborted(EXCHANGED)
