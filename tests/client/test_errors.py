"""Errors: one class per status, with everything that came along; and what is tried again."""

import pickle
import socket

import grpc
import pytest
from blocking import FAST
from fake_server import make_status, reason, retry_info, violation

import nearfield
from nearfield import _errors
from nearfield._retry import next_delay

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_status_has_a_class_of_its_own(target, fake, code):
    fake.fail("ListModels", make_status(code, "why"))
    with (
        nearfield.Client(target, retry=nearfield.RetryPolicy(max_attempts=1)) as client,
        pytest.raises(nearfield.NearfieldError) as caught,
    ):
        client.models()
    error = caught.value
    assert (error.code, error.message) == (code, "why")
    assert type(error) is _errors.class_of(code)
    assert type(error) is not nearfield.NearfieldError


def test_classes_and_statuses_are_one_to_one():
    assert {_errors.class_of(code).code for code in CODES} == set(CODES)


def test_everything_that_came_along(client, fake):
    details = [reason("INVALID_INPUT", limit="5"), violation("inputs[0].text", "bad"), retry_info(1.5)]
    fake.fail("ListModels", make_status(grpc.StatusCode.INVALID_ARGUMENT, "bad thing", *details))
    with pytest.raises(nearfield.InvalidArgument, match=r"bad thing \(request req-1\)") as caught:
        client.models()
    error = caught.value
    assert (error.reason, error.metadata, error.retry_delay) == ("INVALID_INPUT", {"limit": "5"}, 1.5)
    assert error.field_violations == (("inputs[0].text", "bad"),)
    assert error.request_id == "req-1"
    assert list(error.details) == details


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(_errors.invalid("inputs[3]", "bad")))
    assert (type(error), error.field_violations) == (nearfield.InvalidArgument, (("inputs[3]", "bad"),))


def test_broken_details_leave_code_and_message(client, fake):
    def garbled(request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    fake.fail("ListModels", garbled)
    with pytest.raises(nearfield.NotFound, match="gone") as caught:
        client.models()
    assert (caught.value.details, caught.value.request_id) == ((), "")


def test_unavailable_is_tried_again(client, fake):
    fake.fail("Embed", *[make_status(grpc.StatusCode.UNAVAILABLE, "starting")] * 4)
    assert client.embed("ab")[0] == 2
    assert fake.calls["Embed"] == 5


def test_but_not_for_ever(client, fake):
    fake.fail("Embed", *[make_status(grpc.StatusCode.UNAVAILABLE, "starting")] * 9)
    with pytest.raises(nearfield.Unavailable):
        client.embed("ab")
    assert fake.calls["Embed"] == 5


def test_overload_is_tried_again_where_the_server_invites_to(client, fake):
    fake.fail("Embed", make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full", retry_info(0.001)))
    assert client.embed("ab")[0] == 2
    assert fake.calls["Embed"] == 2


@pytest.mark.parametrize(
    "code",
    [code for code in CODES if code is not grpc.StatusCode.UNAVAILABLE],
    ids=lambda code: code.name,
)
def test_nothing_else_is_tried_again(client, fake, code):
    fake.fail("ListModels", make_status(code, "no"))
    with pytest.raises(nearfield.NearfieldError):
        client.models()
    assert fake.calls["ListModels"] == 1


def test_the_deadline_holds_over_all_attempts(client, fake):
    fake.fail("ListModels", *[make_status(grpc.StatusCode.UNAVAILABLE, "later", retry_info(0.04))] * 4)
    client.models(timeout=5)
    # gRPC rounds the deadlines that it sends up, to tenths of a second here.
    assert fake.deadlines[-1] < fake.deadlines[0] - 0.05


def test_a_wait_that_does_not_fit_is_not_begun(client, fake):
    fake.fail("ListModels", make_status(grpc.StatusCode.UNAVAILABLE, "later", retry_info(60)))
    with pytest.raises(nearfield.Unavailable, match="later"):
        client.models(timeout=5)
    assert fake.calls["ListModels"] == 1


def test_a_failed_part_stops_the_others(client, fake):
    fake.fail("Embed", make_status(grpc.StatusCode.INTERNAL, "error id 1"))
    with pytest.raises(nearfield.InternalError, match="error id 1"):
        client.embed(["x"] * 800)
    assert fake.calls["Embed"] < 20


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        target = f"localhost:{free.getsockname()[1]}"
        with nearfield.Client(target, retry=FAST) as client, pytest.raises(nearfield.Unavailable) as caught:
            client.models()
    assert caught.value.request_id == ""
    assert isinstance(caught.value.__cause__, grpc.RpcError)


def test_a_closed_client_says_so(target):
    client = nearfield.Client(target)
    client.close()
    client.close()
    with pytest.raises(ValueError, match="closed"):
        client.models()


def _delay(error, *, attempts=1, seconds_left=None, draw=0.0):
    return next_delay(nearfield.RetryPolicy(), error, attempts=attempts, seconds_left=seconds_left, draw=draw)


def test_waits_grow_and_are_capped():
    error = nearfield.Unavailable("x")
    policy = nearfield.RetryPolicy(max_attempts=99)
    waits = [next_delay(policy, error, attempts=n, seconds_left=None, draw=0.0) for n in (1, 2, 3, 50)]
    assert waits == [0.1, 0.2, 0.4, 5.0]
    assert policy.backoff_seconds(10_000) == 5.0


def test_retry_info_wins_over_backoff_and_jitter_lengthens():
    error = nearfield.Unavailable("x", _errors.ErrorFacts(retry_delay=2.0))
    assert _delay(error) == 2.0
    assert _delay(error, draw=0.5) == pytest.approx(2.2)
    assert _delay(error, seconds_left=2.0) is None
    assert _delay(error, attempts=5) is None


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"jitter": -1}, {"multiplier": 0.5}, {"initial_backoff_seconds": float("nan")}],
    ids=str,
)
def test_senseless_policies_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        nearfield.RetryPolicy(**wrong)
