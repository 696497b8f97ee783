"""Streams far longer than memory, and beside unary calls."""

import os
import threading
import time

import grpc
import numpy as np
import psutil
import pytest

import nearfield
from nearfield.v1 import embed_pb2, embed_pb2_grpc, types_pb2

COUNT = 1_000_000 if os.environ.get("NEARFIELD_TEST_LONG") else 60_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_long_stream_takes_constant_memory(start_server, fake_model):
    load_model, backend = fake_model()
    backend.batches = type("Forgetful", (), {"append": lambda self, batch: None})()
    backend.vector = lambda ids: np.full(384, len(ids), np.float32)
    server = start_server(load_model)
    process, sizes = psutil.Process(), []
    with nearfield.Client(server.target) as client:
        started = time.monotonic()
        for count, result in enumerate(client.embed_stream(f"text {number}" for number in range(COUNT)), 1):
            assert result.error is None
            if count % (COUNT // 10) == 0:
                sizes.append(process.memory_info().rss)
    print(
        f"\n{count} texts in {time.monotonic() - started:.0f} s; RSS of both sides in MB: {[s // 10**6 for s in sizes]}"
    )
    assert count == COUNT
    assert max(sizes) <= sizes[0] * 1.15


@pytest.mark.slow
def test_a_client_that_never_reads_is_not_read_on_and_then_cut_off(start_server, fake_model, metric):
    load_model, _ = fake_model()
    server = start_server(load_model, stream={"window_inputs": 8, "idle_seconds": 3.0})

    def endless():
        while True:
            inputs = [types_pb2.Input(text="some text")] * 8
            yield embed_pb2.EmbedStreamRequest(id="x" * 500, inputs=inputs)

    ended = {"rpc": "EmbedStream", "status": "DEADLINE_EXCEEDED"}
    with grpc.insecure_channel(server.target) as channel:
        call = embed_pb2_grpc.EmbedServiceStub(channel).EmbedStream(endless())
        until = time.monotonic() + 20
        while not metric(server, "nearfield_requests_total", **ended) and time.monotonic() < until:
            time.sleep(0.05)
        assert metric(server, "nearfield_requests_total", **ended) == 1
        # What was embedded fits into the window and the buffers of the transport: 1.5 kB a vector, some MB.
        assert metric(server, "nearfield_inputs_total") < 10_000
        call.cancel()


@pytest.mark.slow
def test_a_bulk_stream_at_full_speed_leaves_unary_calls_their_share(server, golden):
    stop = threading.Event()

    def endless():
        while not stop.is_set():
            yield from golden.texts

    def latencies(client, seconds):
        until, times = time.monotonic() + seconds, []
        while time.monotonic() < until:
            before = time.monotonic()
            client.embed("how do I reset my password?")
            times.append(time.monotonic() - before)
        return np.percentile(times, [50, 99]) * 1000

    with nearfield.Client(server.target) as client, nearfield.Client(server.target) as bulk:
        idle = latencies(client, 2)
        answered = 0

        def consume():
            nonlocal answered
            for _ in bulk.embed_stream(endless()):
                answered += 1

        consumer = threading.Thread(target=consume)
        consumer.start()
        try:
            busy = latencies(client, 5)
        finally:
            stop.set()
            consumer.join(60)
    print(f"\nunary p50, p99 in ms: idle {idle.round(1)}, beside a stream of {answered} texts {busy.round(1)}")
    assert answered > 100
    # It waits for the batches that run, never for the stream's window (256 texts take about a second).
    assert busy[0] < 400
