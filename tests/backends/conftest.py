import sys

import pytest
from fake_onnxruntime import FakeOnnxRuntime


@pytest.fixture
def fake(monkeypatch):
    """Put a fake ONNX Runtime with these providers in the place of the real one: `fake("CUDAExecutionProvider")`."""

    def install(*providers):
        module = FakeOnnxRuntime(*providers)
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        return module

    return install
