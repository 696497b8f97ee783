"""Upserts over a stream that fails in every way, against a servicer of our own."""
# ruff: noqa: N802 - names of rpcs

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

import nearfield
from nearfield.v1 import search_pb2, search_pb2_grpc

PATIENT = nearfield.RetryPolicy(max_attempts=1000, initial_backoff_seconds=0.0, max_backoff_seconds=0.001)
FEW = nearfield.RetryPolicy(max_attempts=3, initial_backoff_seconds=0.0, max_backoff_seconds=0.001)


class Fake(search_pb2_grpc.SearchServiceServicer):
    """Stores points in the order in which they come; `fate` says what becomes of the next message."""

    def __init__(self, fate=lambda: "store"):
        self.fate = fate
        self.points = {}
        self.order = []
        self.streams = self.unary = 0
        self.hanging = threading.Event()

    def Upsert(self, request, _):
        self.unary += 1
        return self._store(request)

    def UpsertStream(self, requests, context):
        self.streams += 1
        for message in requests:
            fate = self.fate()
            if fate == "lost before":
                context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            if fate == "hang":
                self.hanging.wait(10)
            if fate == "busy":
                yield search_pb2.UpsertStreamResponse(id=message.id, error=_status(code_pb2.UNAVAILABLE))
                continue
            bad = [at for at, one in enumerate(message.upsert.points) if "bad" in one.payload.fields]
            if bad:
                yield search_pb2.UpsertStreamResponse(id=message.id, error=_status(code_pb2.INVALID_ARGUMENT, bad[0]))
                continue
            stored = self._store(message.upsert)
            if fate == "lost after":
                context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            yield search_pb2.UpsertStreamResponse(id=message.id, stored=stored)

    def _store(self, request):
        for one in request.points:
            if one.id.number not in self.points:
                self.order.append(one.id.number)
            self.points[one.id.number] = int(one.payload.fields["n"])
        return search_pb2.UpsertResponse(stored=len(request.points), version=1)


def _status(code, at=None):
    found = status_pb2.Status(code=code, message="busy")
    if at is not None:
        found.message = f"upsert.points[{at}].vector: is wrong"
        wrong = error_details_pb2.BadRequest()
        wrong.field_violations.add(field=f"upsert.points[{at}].vector", description="is wrong")
        found.details.add().Pack(wrong)
    return found


@contextmanager
def serving(fake):
    server = grpc.server(ThreadPoolExecutor(4))
    search_pb2_grpc.add_SearchServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        fake.hanging.set()
        server.stop(0).wait()


def blocking(target, rows, retry=PATIENT, **options):
    with nearfield.Client(target, retry=retry) as client:
        return client.collection("docs").upsert(rows, **options)


def in_a_loop(target, rows, retry=PATIENT, **options):
    async def run():
        async with nearfield.AsyncClient(target, retry=retry) as client:
            return await client.collection("docs").upsert(rows, **options)

    return asyncio.run(run())


either = pytest.mark.parametrize("upsert", [blocking, in_a_loop])


def rows_of(ids, bad=()):
    return [{"id": id_, "n": n, **({"bad": True} if n in bad else {})} for n, id_ in enumerate(ids)]


@either
@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails_the_last_row_of_each_id_is_there(upsert, seed):
    chance = random.Random(seed)
    fake = Fake(lambda: chance.choices(["store", "busy", "lost before", "lost after"], [6, 2, 1, 1])[0])
    ids = [chance.randrange(60) for _ in range(400)]
    bad = {n for n in range(400) if chance.random() < 0.05}
    done = []
    with serving(fake) as target:
        result = upsert(target, rows_of(ids, bad), batch_size=7, on_error="collect", progress=done.append)
    assert fake.points == {id_: n for n, id_ in enumerate(ids) if n not in bad}
    assert {one.row for one in result.errors} == bad
    assert result.stored == 400 - len(bad)
    assert done == sorted(done)
    assert done[-1] == 400
    assert fake.streams > 1
    assert fake.unary == 0


@either
def test_points_are_stored_in_the_order_of_their_rows_over_one_stream(upsert):
    fake = Fake()
    with serving(fake) as target:
        assert upsert(target, rows_of(range(1000)), batch_size=10).stored == 1000
        assert fake.order == list(range(1000))
        assert (fake.streams, fake.unary) == (1, 0)
        upsert(target, rows_of(range(9)), batch_size=10)
        assert (fake.streams, fake.unary) == (1, 1)  # one request is enough
        assert upsert(target, []).stored == 0
    assert (fake.streams, fake.unary) == (1, 1)


@either
def test_a_refused_row_is_named_by_its_number_and_ends_the_upsert(upsert):
    with serving(Fake()) as target, pytest.raises(nearfield.InvalidArgument, match=r"^rows\[25\]\.vector: is wrong"):
        upsert(target, rows_of(range(40), {25}), batch_size=10)


@either
def test_a_server_that_never_stores_is_given_up(upsert):
    fake = Fake(lambda: "lost before")
    with serving(fake) as target, pytest.raises(nearfield.Unavailable, match="gone"):
        upsert(target, rows_of(range(40)), batch_size=10, retry=FEW)
    assert fake.streams == 3
    fake = Fake(lambda: "busy")
    with serving(fake) as target, pytest.raises(nearfield.Unavailable, match="busy"):
        upsert(target, rows_of(range(40)), batch_size=10, retry=FEW)


@either
def test_a_server_that_does_not_answer_is_not_waited_for(upsert):
    began = time.monotonic()
    with serving(Fake(lambda: "hang")) as target, pytest.raises(nearfield.DeadlineExceeded, match="stored points"):
        upsert(target, rows_of(range(100)), batch_size=10, timeout=0.3)
    assert time.monotonic() - began < 5


@either
def test_what_the_rows_raise_is_raised(upsert):
    def rows():
        yield from rows_of(range(35))
        raise OSError("the disk is gone")

    fake = Fake()
    with serving(fake) as target, pytest.raises(OSError, match="the disk is gone"):
        upsert(target, rows(), batch_size=10)
    assert set(fake.order) <= set(range(30))


@either
def test_a_stream_that_was_closed_while_rows_were_made_is_opened_again(upsert, start_server):
    """The real server closes a stream on which nothing moves."""
    server = start_server(stream={"window_inputs": 256, "idle_seconds": 0.3})

    def rows():
        for number in range(60):
            if number in {20, 45}:
                time.sleep(0.8)
            yield {"id": number, "v": [1.0, number, 2.0]}

    with nearfield.Client(server.target) as client:
        collection = client.create_collection("docs", dimensions=3)
        result = upsert(server.target, rows(), vector="v", batch_size=10)
        assert (result.stored, collection.count()) == (60, 60)
