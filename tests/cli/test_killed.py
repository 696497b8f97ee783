"""`kill -9` and a lost server, for real: another process, sockets, and files compared byte by byte.

The server is a small one of our own, since its vectors depend on nothing but the text: what the bytes are compared for.
"""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest

from nearfield.v1 import embed_pb2, embed_pb2_grpc, model_pb2, model_pb2_grpc, types_pb2
from nearfield_server.cli.files.journal import Journal
from nearfield_server.cli.files.partial import Paths

NEARFIELD = Path(sys.executable).with_name("nearfield")
ROWS = 2400
MESSAGE_SECONDS = 0.01

pytestmark = pytest.mark.slow


class Embedding(embed_pb2_grpc.EmbedServiceServicer):
    """Takes a little while over each message, so that there is a middle to be killed in."""

    def __init__(self, vector_of):
        self.vector_of = vector_of
        self.seconds = MESSAGE_SECONDS

    def EmbedStream(self, request_iterator, context):  # noqa: N802
        for request in request_iterator:
            if request.inputs:
                time.sleep(self.seconds)
                yield self._reply(request)

    def _reply(self, request):
        vectors = np.stack([self.vector_of(one.text) for one in request.inputs])
        matrix = types_pb2.Matrix(
            dtype=types_pb2.DTYPE_FLOAT32, rows=len(vectors), cols=vectors.shape[1], data=vectors.tobytes()
        )
        result = embed_pb2.EmbedResponse(
            embeddings=matrix, token_counts=[3] * len(vectors), truncated=[False] * len(vectors)
        )
        return embed_pb2.EmbedStreamResponse(id=request.id, result=result)


class Models(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, width):
        limits = model_pb2.Limits(
            max_inputs=64,
            max_text_bytes=4096,
            max_request_bytes=1 << 20,
            max_response_bytes=1 << 20,
            stream_window_inputs=64,
            max_request_tokens=10_000,
        )
        self.model = model_pb2.Model(
            name="fake",
            version="1",
            is_default=True,
            state=model_pb2.MODEL_STATE_READY,
            dimensions=width,
            max_tokens=100,
            vocab_size=100,
            limits=limits,
        )

    def ListModels(self, request, context):  # noqa: N802
        return model_pb2.ListModelsResponse(models=[self.model])

    def GetModel(self, request, context):  # noqa: N802
        return model_pb2.GetModelResponse(model=self.model)


@contextmanager
def serving(fake_client, target="127.0.0.1:0"):
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    embed_pb2_grpc.add_EmbedServiceServicer_to_server(Embedding(fake_client.vector_of), server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(Models(fake_client.width), server)
    port = server.add_insecure_port(target)
    server.start()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        server.stop(None).wait()


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("".join(f"text number {row}\n" for row in range(ROWS)), "utf-8")
    return path


def command(given, out, target):
    return [NEARFIELD, "embed", given, "--out", out, "--target", target, "--batch-size", "8"]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def wait_for_rows(process, out, more_than=0):
    """Wait until the journal knows of more rows; give how many."""
    while process.poll() is None:
        journal = Journal.read(Paths(out).journal)
        if journal is not None and journal.counts.rows > more_than:
            return journal.counts.rows
        time.sleep(0.02)
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize(
    "name", ["out.jsonl", *(pytest.param(name, marks=pytest.mark.long) for name in ("out.npy", "out.parquet"))]
)
def test_a_run_killed_twice_ends_byte_for_byte_the_same(fake_client, given, tmp_path, name):
    out, rows = tmp_path / name, 0
    (tmp_path / "whole").mkdir()
    with serving(fake_client) as (target, _):
        whole = tmp_path / "whole" / name
        assert run(given, whole, target).returncode == 0
        for _ in range(2):
            process = subprocess.Popen(command(given, out, target), stderr=subprocess.PIPE, text=True)
            with process:
                rows = wait_for_rows(process, out, rows)
                process.send_signal(signal.SIGKILL)
            assert not out.exists()
            if rows > ROWS // 2:
                break
        done = run(given, out, target)
    assert done.returncode == 0, done.stderr
    assert f"going on after {rows:,} rows" in done.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.txt", name, "whole"])


def test_a_server_that_goes_away_ends_the_run_and_the_next_goes_on(fake_client, given, tmp_path):
    out = tmp_path / "out.npy"
    with serving(fake_client) as (target, server):
        process = subprocess.Popen(command(given, out, target), stderr=subprocess.PIPE, text=True)
        wait_for_rows(process, out)
        server.stop(None).wait()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "UNAVAILABLE" in told
    assert "run the same command again to go on" in told
    assert "Traceback" not in told
    with serving(fake_client) as (target, _):
        done = run(given, out, target)
    assert "going on after" in done.stderr
    expected = [fake_client.vector_of(f"text number {row}") for row in range(ROWS)]
    np.testing.assert_array_equal(np.load(out), expected)


def test_ctrl_c_is_clean_and_the_next_run_goes_on(fake_client, given, tmp_path):
    out = tmp_path / "out.npy"
    with serving(fake_client) as (target, _):
        process = subprocess.Popen(command(given, out, target), stderr=subprocess.PIPE, text=True)
        wait_for_rows(process, out)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "interrupted after" in told
        assert "Traceback" not in told
        done = run(given, out, target)
    assert "going on after" in done.stderr
    assert np.load(out).shape == (ROWS, fake_client.width)


def test_a_closed_pipe_ends_a_run_to_stdout_quietly(fake_client, given):
    with serving(fake_client) as (target, _):
        process = subprocess.Popen(
            command(given, "-", target), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process:
            first = process.stdout.readline()
            process.stdout.close()
            told = process.stderr.read()
    assert first.startswith('{"row": 0, "embedding": [')
    assert (process.returncode, told) == (141, "")
