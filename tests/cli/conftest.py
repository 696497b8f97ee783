"""A stand-in for the client, whose vectors depend on the text alone."""

import zlib
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

import nearfield

WIDTH = 3


def vector_of(text, dtype=np.float32):
    return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(WIDTH).astype(dtype)


class FakeClient:
    """Implements `Embedder`. `stop_at` answers it raises `stop_with`; texts in `refused` get an error of their own."""

    def __init__(self, *, stop_at=None, stop_with=None, refused=(), dtype=np.float32, ahead=5):
        self.stop_at = stop_at
        self.stop_with = stop_with or nearfield.Unavailable("connection refused")
        self.refused = set(refused)
        self.dtype = dtype
        self.ahead = ahead
        self.asked = []

    def embed_stream(self, inputs, /, **options):
        assert options["ordered"]
        self.options = options
        waiting, texts, index = [], iter(inputs), 0
        while True:
            # Like the real client, it reads ahead of its answers.
            while len(waiting) <= self.ahead and (text := next(texts, None)) is not None:
                waiting.append(text)
            if not waiting:
                return
            if index == self.stop_at:
                raise self.stop_with
            text = waiting.pop(0)
            self.asked.append(text)
            yield self._result(index, text)
            index += 1

    def _result(self, index, text):
        if text in self.refused:
            error = nearfield.InvalidArgument(f"inputs[{index}].text: has too many tokens")
            error.field_violations = ((f"inputs[{index}].text", "has too many tokens"),)
            return nearfield.StreamResult(index=index, error=error)
        vector = vector_of(text, self.dtype)
        return nearfield.StreamResult(index=index, embedding=vector, token_count=len(text), truncated=len(text) > 9)


@pytest.fixture(scope="session")
def fake_client():
    return SimpleNamespace(make=FakeClient, vector_of=vector_of, codes=grpc.StatusCode, width=WIDTH)
