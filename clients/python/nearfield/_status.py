"""Statuses from the wire to the error tree: trailing metadata and google.rpc.Status to `NearfieldError`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from nearfield._errors import ErrorFacts, NearfieldError, class_of

__all__ = ["error_of_call", "error_of_status"]

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS: dict[str, type[Message]] = {
    f"google.rpc.{kind.__name__}": kind
    for kind in (
        error_details_pb2.BadRequest,
        error_details_pb2.DebugInfo,
        error_details_pb2.ErrorInfo,
        error_details_pb2.Help,
        error_details_pb2.LocalizedMessage,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
        error_details_pb2.RequestInfo,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
    )
}


def error_of_call(error: grpc.RpcError) -> NearfieldError:
    """Give the error for a failed call, of either gRPC API; its details come from the trailing metadata."""
    metadata = dict(_pairs(error.trailing_metadata()))
    status = Status()
    try:
        status.ParseFromString(metadata.get("grpc-status-details-bin", b""))
    except (DecodeError, TypeError):
        # Someone between us and the server wrote that; the code and the message still hold.
        status = Status()
    request_id = metadata.get("x-request-id", "")
    facts = _facts(status.details, request_id if isinstance(request_id, str) else "")
    return class_of(error.code())(error.details() or status.message or error.code().name, facts)


def error_of_status(status: Status, request_id: str = "") -> NearfieldError:
    """Give the error for a status inside a reply, such as a stream's."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return class_of(code)(status.message or code.name, _facts(status.details, request_id))


def _pairs(metadata: Any) -> Iterable[tuple[str, str | bytes]]:
    # The two APIs give tuples of pairs, aio's Metadata, or None where the call never reached a server.
    return [(key, value) for key, value in metadata or ()]


def _facts(packed: Iterable[AnyMessage], request_id: str) -> ErrorFacts:
    details = tuple(detail for one in packed if (detail := _unpacked(one)) is not None)
    reason, metadata, delay = "", {}, None
    violations: list[tuple[str, str]] = []
    for detail in details:
        if isinstance(detail, error_details_pb2.ErrorInfo):
            reason, metadata = detail.reason, dict(detail.metadata)
        elif isinstance(detail, error_details_pb2.RetryInfo):
            delay = detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9
        elif isinstance(detail, error_details_pb2.BadRequest):
            violations += [(one.field, one.description) for one in detail.field_violations]
    return ErrorFacts(
        details=details,
        reason=reason,
        metadata=metadata,
        retry_delay=delay,
        field_violations=tuple(violations),
        request_id=request_id,
    )


def _unpacked(packed: AnyMessage) -> Message | None:
    kind = _DETAILS.get(packed.TypeName())
    if kind is None:
        return None
    detail = kind()
    try:
        detail.ParseFromString(packed.value)
    except DecodeError:
        return None
    return detail
