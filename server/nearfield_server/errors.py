"""The closed tree of errors that the server raises on purpose.

    NearfieldError
    ├── InvalidInput            the request is wrong; the caller must change it
    │   ├── TextTooLong         more tokens or bytes than allowed
    │   └── Unsupported         right in itself, but this model can't do it
    ├── TooLarge                a request over a published size limit; a retry doesn't help
    ├── ModelNotFound           no model of that name
    ├── CollectionNotFound      no collection of that name
    ├── PointNotFound           no point of that id
    ├── AlreadyExists           it is there already
    ├── FailedPrecondition      not in this state of the server; the caller must change that first
    ├── PermissionDenied        this caller may not
    ├── ServiceUnknown          a health check for a service that isn't served
    ├── Unavailable             not now; `retry_after_seconds` says when
    │   ├── ModelNotReady       the model loads, or failed to load
    │   └── Draining            the server stops
    ├── StorageFull             the disk is full; nothing of the call was kept
    ├── DataDamaged             stored data isn't what was stored
    ├── SnapshotNotFound        no snapshot of that name
    ├── ReembeddingNotFound     no re-embedding of that id
    ├── ClusteringNotFound      no clustering of that id
    ├── ProjectionNotFound      no projection of that id
    ├── ClassifierNotFound      no classifier of that name, or not of that version
    ├── Overloaded              the queue is full; `retry_after_seconds` says when
    ├── DeadlineExceeded        the caller's deadline passed, or can't be met
    ├── Cancelled               the caller went away
    ├── BackendFailure          the model raised, or gave a vector that isn't one
    ├── ModelLoadFailure        a model folder can't be served (at start, never in a reply)
    └── ConfigError             the settings are wrong (at start, never in a reply)

Every class has a stable `reason`, which clients see in google.rpc.ErrorInfo and may switch on. `rpc/status.py` maps the
classes to gRPC statuses; nothing below it knows one. Messages never contain input text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "BackendFailure",
    "Cancelled",
    "ClassifierNotFound",
    "ClusteringNotFound",
    "CollectionNotFound",
    "ConfigError",
    "DataDamaged",
    "DeadlineExceeded",
    "Draining",
    "FailedPrecondition",
    "FieldViolation",
    "InvalidInput",
    "ModelLoadFailure",
    "ModelNotFound",
    "ModelNotReady",
    "NearfieldError",
    "Overloaded",
    "PermissionDenied",
    "PointNotFound",
    "ProjectionNotFound",
    "ReembeddingNotFound",
    "ServiceUnknown",
    "SnapshotNotFound",
    "StorageFull",
    "TextTooLong",
    "TooLarge",
    "Unavailable",
    "Unsupported",
]


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path in the request, such as `inputs[3].text`, and what to do about it."""

    field: str
    description: str


class NearfieldError(Exception):
    """Root of the tree. `metadata` holds short, bounded facts for machines, never input text."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: str | float) -> None:
        """Keep `message`, which says what to do, and `metadata`."""
        super().__init__(message)
        self.message = message
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidInput(NearfieldError):
    """The request is wrong. `violations` names each wrong field."""

    reason = "INVALID_INPUT"

    def __init__(self, field: str, description: str, **metadata: str | float) -> None:
        """Blame `field` (its path in the request)."""
        super().__init__(f"{field}: {description}" if field else description, **metadata)
        self.violations = (FieldViolation(field, description),)

    def moved(self, place: Callable[[int], str]) -> InvalidInput:
        """Give the same error for the caller's own lists: what `inputs[N]` is there, `place(N)` tells."""
        one = self.violations[0]
        field = re.sub(r"^inputs\[(\d+)\]", lambda found: place(int(found[1])), one.field)
        return type(self)(field, one.description, **self.metadata)


class TextTooLong(InvalidInput):
    """More tokens than the model takes (with truncation off), or more bytes than the server takes."""

    reason = "TEXT_TOO_LONG"


class Unsupported(InvalidInput):
    """This model can't do what is asked."""

    reason = "UNSUPPORTED"


class TooLarge(NearfieldError):
    """Over a published limit of size; the same request will never be accepted."""

    reason = "TOO_LARGE"


class ModelNotFound(NearfieldError):
    """No model of that name is served."""

    reason = "MODEL_NOT_FOUND"

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        """`name` as asked for; `nearest` are served names to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"no model of that name is served{hint} (ListModels tells the names)")
        self.name = name


class CollectionNotFound(NearfieldError):
    """No collection of that name, nor alias."""

    reason = "COLLECTION_NOT_FOUND"

    def __init__(self, name: str, nearest: tuple[str, ...] = ()) -> None:
        """`name` as asked for; `nearest` are names to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no collection of that name{hint} (ListCollections tells the names)")
        self.name = name


class SnapshotNotFound(NearfieldError):
    """No snapshot of that name."""

    reason = "SNAPSHOT_NOT_FOUND"

    def __init__(self, name: str, nearest: tuple[str, ...] = ()) -> None:
        """`name` as asked for; `nearest` are names to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no snapshot of that name{hint} (ListSnapshots tells the names)")
        self.name = name


class ReembeddingNotFound(NearfieldError):
    """No re-embedding of that id."""

    reason = "REEMBEDDING_NOT_FOUND"

    def __init__(self, id_: str, nearest: tuple[str, ...] = ()) -> None:
        """`id_` as asked for; `nearest` are ids to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no re-embedding of that id{hint} (ListReembeddings tells the ids)")
        self.name = id_


class ClusteringNotFound(NearfieldError):
    """No clustering of that id."""

    reason = "CLUSTERING_NOT_FOUND"

    def __init__(self, id_: str, nearest: tuple[str, ...] = ()) -> None:
        """`id_` as asked for; `nearest` are ids to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no clustering of that id, or it has expired{hint} (ListClusterings tells the ids)")
        self.name = id_


class ProjectionNotFound(NearfieldError):
    """No projection of that id."""

    reason = "PROJECTION_NOT_FOUND"

    def __init__(self, id_: str, nearest: tuple[str, ...] = ()) -> None:
        """`id_` as asked for; `nearest` are ids to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no projection of that id, or it has expired{hint} (ListProjections tells the ids)")
        self.name = id_


class ClassifierNotFound(NearfieldError):
    """No classifier of that name, or not of that version."""

    reason = "CLASSIFIER_NOT_FOUND"

    def __init__(self, name: str, nearest: tuple[str, ...] = ()) -> None:
        """`name` as asked for; `nearest` are names to suggest."""
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no classifier of that name or version{hint} (ListClassifiers tells the names)")
        self.name = name


class DataDamaged(NearfieldError):
    """Stored data isn't what was stored; the message names the file."""

    reason = "DATA_DAMAGED"


class PointNotFound(NearfieldError):
    """No point of that id, for this tenant. `field` is where the request names it."""

    reason = "POINT_NOT_FOUND"

    def __init__(self, field: str, id_: str | int) -> None:
        """`id_` as asked for."""
        super().__init__(f"{field}: there is no point of that id")
        self.name = str(id_)


class AlreadyExists(NearfieldError):
    """What is to be made is there already; `resource` names it."""

    reason = "ALREADY_EXISTS"

    def __init__(self, message: str, resource: str) -> None:
        """`resource`: the name of what is there."""
        super().__init__(message)
        self.resource = resource


class FailedPrecondition(NearfieldError):
    """Right in itself, but not in this state of the server. `subject` is what stands in the way."""

    reason = "FAILED_PRECONDITION"

    def __init__(self, subject: str, message: str) -> None:
        """`subject`: such as `models/NAME`."""
        super().__init__(message)
        self.subject = subject


class PermissionDenied(NearfieldError):
    """This caller may not do it."""

    reason = "PERMISSION_DENIED"


class ServiceUnknown(NearfieldError):
    """A health check named no service of this server."""

    reason = "SERVICE_UNKNOWN"


class _Later(NearfieldError):
    """Shared by the errors that tell when to try again."""

    def __init__(self, message: str, *, retry_after_seconds: float, **metadata: str | float) -> None:
        """`retry_after_seconds` is sent as google.rpc.RetryInfo."""
        super().__init__(message, **metadata)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(_Later):
    """The server can't serve this now."""

    reason = "UNAVAILABLE"


class ModelNotReady(Unavailable):
    """The model is loading, failed to load, or lost all its workers."""

    reason = "MODEL_NOT_READY"


class Draining(Unavailable):
    """The server is stopping; another replica should be asked."""

    reason = "DRAINING"


class Overloaded(_Later):
    """The queue can't take this call now."""

    reason = "OVERLOADED"


class StorageFull(_Later):
    """The disk is full: nothing of the call was kept."""

    reason = "STORAGE_FULL"


class DeadlineExceeded(NearfieldError):
    """The deadline passed before the work was done, or the work can't be done before it."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(NearfieldError):
    """The caller cancelled; nobody reads this."""

    reason = "CANCELLED"


class BackendFailure(NearfieldError):
    """The model failed on one input: it raised, or its vector isn't finite or has no length."""

    reason = "BACKEND_FAILURE"


class ModelLoadFailure(NearfieldError):
    """A model folder that can't be served; the message names the file and what is wrong with it."""

    reason = "MODEL_LOAD_FAILURE"


class ConfigError(NearfieldError):
    """Settings that can't be used; the message names the key and where it was set."""

    reason = "CONFIG_ERROR"
