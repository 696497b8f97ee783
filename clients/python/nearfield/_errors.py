"""The closed tree of errors that a client raises; one class per gRPC status.

    NearfieldError
    ├── InvalidArgument      INVALID_ARGUMENT     `field_violations` names each wrong field, with the caller's own index
    ├── OutOfRange           OUT_OF_RANGE
    ├── NotFound             NOT_FOUND            the message suggests near names
    ├── AlreadyExists        ALREADY_EXISTS
    ├── FailedPrecondition   FAILED_PRECONDITION
    ├── ResourceExhausted    RESOURCE_EXHAUSTED   over a limit; worth repeating only where `retry_delay` is set
    ├── Aborted              ABORTED
    ├── DeadlineExceeded     DEADLINE_EXCEEDED
    ├── Unavailable          UNAVAILABLE          starting, draining, or not reachable
    ├── Unauthenticated      UNAUTHENTICATED
    ├── PermissionDenied     PERMISSION_DENIED
    ├── Cancelled            CANCELLED
    ├── Unimplemented        UNIMPLEMENTED
    ├── InternalError        INTERNAL             the message has an error id, which the server's log explains
    ├── DataLoss             DATA_LOSS
    └── UnknownError         UNKNOWN, and codes that this version of gRPC doesn't know

A wrong argument that no server could ever have seen (an unknown option, a number where texts belong) is a TypeError or
ValueError, as everywhere in Python. What is wrong with one *input* is InvalidArgument, here as on the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import grpc
from google.protobuf.message import Message

__all__ = [
    "EXCHANGED",
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "ErrorFacts",
    "FailedPrecondition",
    "InternalError",
    "InvalidArgument",
    "NearfieldError",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "Places",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UnknownError",
    "class_of",
    "invalid",
    "remapped",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """What an error carries beside its message."""

    details: tuple[Message, ...] = ()
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_delay: float | None = None
    field_violations: tuple[tuple[str, str], ...] = ()
    request_id: str = ""


_NO_FACTS = ErrorFacts()
EXCHANGED = "the model was exchanged while the call ran in several parts: send it again"


class NearfieldError(Exception):
    """Root of the tree; raised itself never.

    Attributes:
        code: the gRPC status.
        message: what is wrong and what to do about it; never holds input text.
        details: the google.rpc messages that came with the status, as the server sent them.
        reason: stable word for programs, such as "MODEL_NOT_FOUND"; "" where the server gave none.
        metadata: short facts for programs, such as {"limit": "512"}.
        retry_delay: seconds after which the server invites to try again; None: it doesn't.
        field_violations: pairs of field path and description; indexes count the caller's inputs.
        request_id: the server's id of the call, to find it in its log; "" where there was none.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, facts: ErrorFacts = _NO_FACTS) -> None:
        """Keep `message` and take the attributes from `facts`."""
        super().__init__(message)
        self.message = message
        self.details = facts.details
        self.reason = facts.reason
        self.metadata = dict(facts.metadata)
        self.retry_delay = facts.retry_delay
        self.field_violations = facts.field_violations
        self.request_id = facts.request_id

    @property
    def facts(self) -> ErrorFacts:
        """Everything but the message, to build a like error."""
        return ErrorFacts(
            details=self.details,
            reason=self.reason,
            metadata=dict(self.metadata),
            retry_delay=self.retry_delay,
            field_violations=self.field_violations,
            request_id=self.request_id,
        )

    def __reduce__(self) -> tuple[type[NearfieldError], tuple[str, ErrorFacts]]:
        """Make errors cross process borders whole."""
        return type(self), (self.message, self.facts)

    def __str__(self) -> str:
        """Message and request id."""
        return f"{self.message} (request {self.request_id})" if self.request_id else self.message


class InvalidArgument(NearfieldError):
    """The request is wrong; the caller must change it."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT


class OutOfRange(NearfieldError):
    """Past the end of something."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.OUT_OF_RANGE


class NotFound(NearfieldError):
    """No model, version or service of that name."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND


class AlreadyExists(NearfieldError):
    """There is one of that name, such as a version that is loaded already."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(NearfieldError):
    """Not in the present state: a model that can't be loaded, or that is needed and can't be unloaded."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhausted(NearfieldError):
    """Over a limit, or the server is overloaded; then `retry_delay` is set."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED


class Aborted(NearfieldError):
    """Lost a race."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ABORTED


class DeadlineExceeded(NearfieldError):
    """The deadline passed, or can't be met."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.DEADLINE_EXCEEDED


class Unavailable(NearfieldError):
    """Not reachable, starting or draining."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAVAILABLE


class Unauthenticated(NearfieldError):
    """No credentials, or wrong ones."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(NearfieldError):
    """Known, but not allowed, such as managing models where the server doesn't let callers."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.PERMISSION_DENIED


class Cancelled(NearfieldError):
    """The call was cancelled, by `close()` or on the way."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.CANCELLED


class Unimplemented(NearfieldError):
    """The server doesn't know this method."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNIMPLEMENTED


class InternalError(NearfieldError):
    """The server failed; its log has the cause under the id in the message."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL


class DataLoss(NearfieldError):
    """Stored data is damaged."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.DATA_LOSS


class UnknownError(NearfieldError):
    """A status without a meaning of its own."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN


_CLASSES: dict[grpc.StatusCode, type[NearfieldError]] = {one.code: one for one in NearfieldError.__subclasses__()}
_LISTS = ("inputs", "texts", "sequences", "documents", "sources", "targets", "points")
_INDEXED = re.compile(rf"\b(?:upsert\.)?({'|'.join(_LISTS)})\[(\d+)\]")

Places: TypeAlias = Mapping[str, tuple[str, Sequence[int]]]
"""By a list's name in the request: its name in the caller's arguments ("": the same), and where its elements were."""


def class_of(code: grpc.StatusCode) -> type[NearfieldError]:
    """Give the class for `code`; UnknownError for anything that has none."""
    return _CLASSES.get(code, UnknownError)


def invalid(field_path: str, description: str) -> InvalidArgument:
    """Make the error that the server would send for a wrong `field_path`, found before sending."""
    violations = ((field_path, description),)
    return InvalidArgument(
        f"{field_path}: {description}", ErrorFacts(reason="INVALID_INPUT", field_violations=violations)
    )


def remapped(error: NearfieldError, positions: Sequence[int] | Places) -> NearfieldError:
    """Give `error` of a part of a call with the caller's own indexes: `positions[i]` is where the part's input i was.

    Indexes are changed in the message, the violations and the metadata; `details` stay as the server sent them.
    """
    places = positions if isinstance(positions, Mapping) else dict.fromkeys(_LISTS, ("", positions))
    renumber: Callable[[str], str] = lambda text: _INDEXED.sub(  # noqa: E731 - one line, used twice
        lambda found: _placed(places, found[1], int(found[2])), text
    )
    violations = tuple((renumber(path), text) for path, text in error.field_violations)
    metadata = dict(error.metadata)
    if metadata.get("index", "").isdecimal():
        metadata["index"] = _index_of(error, places, int(metadata["index"]))
    facts = ErrorFacts(
        details=error.details,
        reason=error.reason,
        metadata=metadata,
        retry_delay=error.retry_delay,
        field_violations=violations,
        request_id=error.request_id,
    )
    return type(error)(renumber(error.message), facts)


def _placed(places: Places, name: str, index: int) -> str:
    if name not in places:
        return f"{name}[{index}]"
    renamed, positions = places[name]
    return f"{renamed or name}[{positions[index] if index < len(positions) else index}]"


def _index_of(error: NearfieldError, places: Places, index: int) -> str:
    """Give the caller's index, of the list that the first violation names."""
    named = _INDEXED.search(error.field_violations[0][0]) if error.field_violations else None
    name = named[1] if named else next(iter(places))
    return _placed(places, name, index).rpartition("[")[2].rstrip("]")
