"""Errors to gRPC statuses, in one table; details as google.rpc messages.

Anything not in the tree of `errors` becomes INTERNAL with a fixed text and an error id; its cause goes to the log under
that id and nowhere else.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from nearfield_server import errors

__all__ = ["CODES", "DOMAIN", "past_status", "printable", "to_status", "trailers"]

logger = logging.getLogger("nearfield.rpc")

DOMAIN = "nearfield"
"""google.rpc.ErrorInfo.domain of every error."""

CODES: dict[type[errors.NearfieldError], grpc.StatusCode] = {
    errors.NearfieldError: grpc.StatusCode.INTERNAL,
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TextTooLong: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unsupported: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ModelNotFound: grpc.StatusCode.NOT_FOUND,
    errors.CollectionNotFound: grpc.StatusCode.NOT_FOUND,
    errors.PointNotFound: grpc.StatusCode.NOT_FOUND,
    errors.SnapshotNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ReembeddingNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ClusteringNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ProjectionNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ClassifierNotFound: grpc.StatusCode.NOT_FOUND,
    errors.DataDamaged: grpc.StatusCode.DATA_LOSS,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.ServiceUnknown: grpc.StatusCode.NOT_FOUND,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.ModelNotReady: grpc.StatusCode.UNAVAILABLE,
    errors.Draining: grpc.StatusCode.UNAVAILABLE,
    errors.StorageFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.BackendFailure: grpc.StatusCode.INTERNAL,
    errors.ModelLoadFailure: grpc.StatusCode.INTERNAL,
    errors.ConfigError: grpc.StatusCode.INTERNAL,
}
"""The status of every class of the tree; a test proves it total."""

_MISSING: dict[type[errors.NearfieldError], str] = {
    errors.ModelNotFound: "Model",
    errors.CollectionNotFound: "Collection",
    errors.PointNotFound: "Point",
    errors.SnapshotNotFound: "Snapshot",
    errors.ReembeddingNotFound: "Reembedding",
    errors.ClusteringNotFound: "Clustering",
    errors.ProjectionNotFound: "Projection",
    errors.ClassifierNotFound: "Classifier",
}
_KINDS = {"collections": "Collection", "aliases": "Collection", "snapshots": "Snapshot"}


def to_status(error: BaseException) -> Status:
    """Give the status that a client sees for `error`, details included."""
    if not isinstance(error, errors.NearfieldError):
        error_id = uuid.uuid4().hex[:12]
        logger.error("internal error", exc_info=error, extra={"error_id": error_id})
        error = errors.NearfieldError(f"internal error {error_id}: the server's log has the cause", error_id=error_id)
    status = Status(code=CODES[type(error)].value[0], message=error.message)
    for detail in _details(error):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def past_status(reason: str, message: str) -> Status:
    """Give the status of an error of which only reason and message were noted."""
    kind = next((one for one in CODES if one.reason == reason), errors.NearfieldError)
    status = Status(code=CODES[kind].value[0], message=message)
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason=kind.reason, domain=DOMAIN))
    status.details.append(packed)
    return status


def _details(error: errors.NearfieldError) -> Iterator[Message]:
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    if isinstance(error, errors.InvalidInput):
        violations = [
            BadRequest.FieldViolation(field=one.field, description=one.description) for one in error.violations
        ]
        yield BadRequest(field_violations=violations)
    if (missing := _MISSING.get(type(error))) is not None:
        yield ResourceInfo(resource_type=f"nearfield.v1.{missing}", resource_name=printable(vars(error)["name"]))
    if isinstance(error, errors.AlreadyExists):
        name = _KINDS.get(error.resource.partition("/")[0], "Model")
        yield ResourceInfo(resource_type=f"nearfield.v1.{name}", resource_name=error.resource)
    if isinstance(error, errors.FailedPrecondition):
        violation = PreconditionFailure.Violation(type="STATE", subject=error.subject, description=error.message)
        yield PreconditionFailure(violations=[violation])
    if isinstance(error, (errors.Unavailable, errors.Overloaded, errors.StorageFull)):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        yield RetryInfo(retry_delay=delay)


def trailers(error: BaseException, status: Status) -> tuple[tuple[str, str | bytes], ...]:
    """Trailing metadata that carry the details, and gRPC's own hint when to retry."""
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    if isinstance(error, (errors.Unavailable, errors.Overloaded, errors.StorageFull)):
        return (*details, ("grpc-retry-pushback-ms", str(int(error.retry_after_seconds * 1000))))
    return details


def printable(text: str, limit: int = 64) -> str:
    """Give the start of a caller's `text`, safe for messages and logs."""
    cut = text[:limit]
    return cut if cut.isprintable() and cut.isascii() else ascii(cut)[1:-1]
