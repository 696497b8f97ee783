"""Every error has one status, with the details that its kind promises."""

import logging

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo

from nearfield_server import errors
from nearfield_server.rpc.status import CODES, DOMAIN, past_status, printable, to_status, trailers

CLASSES = [one for name in errors.__all__ if issubclass(one := getattr(errors, name), Exception)]
LATER = (errors.Unavailable, errors.Overloaded, errors.StorageFull)
MISSING = {
    errors.ModelNotFound,
    errors.CollectionNotFound,
    errors.PointNotFound,
    errors.SnapshotNotFound,
    errors.ReembeddingNotFound,
    errors.ClusteringNotFound,
    errors.ProjectionNotFound,
    errors.ClassifierNotFound,
}
NAMED = MISSING | {errors.AlreadyExists}


def make(kind):
    if issubclass(kind, errors.InvalidInput):
        return kind("inputs[3].text", "too long", limit=5)
    if kind in MISSING - {errors.PointNotFound}:
        return kind("name", ("near",))
    if kind is errors.PointNotFound:
        return kind("query.id", "a")
    if issubclass(kind, LATER):
        return kind("later", retry_after_seconds=1.5)
    if issubclass(kind, (errors.AlreadyExists, errors.FailedPrecondition)):
        return kind("models/a", "models/a")
    return kind("message", fact=1)


def details(status):
    found = []
    for packed in status.details:
        for kind in (BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo):
            if packed.Is(kind.DESCRIPTOR):
                found.append(kind())
                packed.Unpack(found[-1])
    assert len(found) == len(status.details)
    return found


def test_the_table_is_total():
    assert set(CODES) == set(CLASSES)
    assert {one for one in CLASSES if one.reason == "INTERNAL"} == {errors.NearfieldError}


def test_reasons_are_distinct():
    assert len({one.reason for one in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_details_of_each_kind(kind):
    error = make(kind)
    status = to_status(error)
    assert status.code == CODES[kind].value[0]
    assert status.message == error.message
    info, *rest = details(status)
    assert (info.reason, info.domain, dict(info.metadata)) == (kind.reason, DOMAIN, error.metadata)
    later = isinstance(error, LATER)
    expected = {
        BadRequest: isinstance(error, errors.InvalidInput),
        PreconditionFailure: kind is errors.FailedPrecondition,
        ResourceInfo: kind in NAMED,
        RetryInfo: later,
    }
    assert {type(one) for one in rest} == {one for one, due in expected.items() if due}
    sent = dict(trailers(error, status))
    assert sent["grpc-status-details-bin"] == status.SerializeToString()
    assert sent.get("grpc-retry-pushback-ms") == ("1500" if later else None)


def test_the_field_at_fault_is_named():
    (violation,) = details(to_status(make(errors.TextTooLong)))[1].field_violations
    assert (violation.field, violation.description) == ("inputs[3].text", "too long")


def test_the_time_to_come_back_is_told():
    delay = details(to_status(make(errors.Overloaded)))[1].retry_delay
    assert (delay.seconds, delay.nanos) == (1, 500_000_000)


@pytest.mark.parametrize(
    ("resource", "kind"), [("a", "Model"), ("collections/a", "Collection"), ("aliases/a", "Collection")]
)
def test_what_exists_already_is_named_by_its_kind(resource, kind):
    found = details(to_status(errors.AlreadyExists("it is there", resource)))[1]
    assert (found.resource_type, found.resource_name) == (f"nearfield.v1.{kind}", resource)


def test_a_foreign_exception_gets_fixed_text_and_an_id(caplog):
    logger = logging.getLogger("nearfield.rpc")
    logger.addHandler(caplog.handler)
    try:
        first, second = (to_status(ValueError("a secret")) for _ in range(2))
    finally:
        logger.removeHandler(caplog.handler)
    assert first.code == grpc.StatusCode.INTERNAL.value[0]
    (info,) = details(first)
    error_id = info.metadata["error_id"]
    assert first.message == f"internal error {error_id}: the server's log has the cause"
    assert info.reason == "INTERNAL"
    assert "secret" not in str(first)
    assert first.message != second.message
    records = {record.error_id: record for record in caplog.records}
    assert records[error_id].exc_info[0] is ValueError


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("a\nb", "a\\nb"), ("é", "\\xe9"), ("x" * 100, "x" * 64), ("\u202e", "\\u202e"), ("", "")],
)
def test_names_are_shown_safely(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_that_was_noted_keeps_its_code_and_reason(kind):
    status = past_status(kind.reason, "what it said")
    assert (status.code, status.message) == (to_status(make(kind)).code, "what it said")
    (detail,) = details(status)
    assert detail.reason == kind.reason


def test_what_was_noted_by_another_version_is_internal():
    assert past_status("GONE", "x").code == grpc.StatusCode.INTERNAL.value[0]
