"""The same encoder on every device that this machine and its ONNX Runtime have, against the CPU.

Here that is the CPU alone. With another wheel, on a machine with its device: `pytest tests/backends -k real`.
"""

import numpy as np
import pytest

from nearfield_server.backends.devices import PROVIDERS
from nearfield_server.config.device import DEVICE_KINDS
from nearfield_server.encoder.loader import LoadOptions, load, this_machine
from nearfield_server.types import Tokens

MACHINE = this_machine()
HERE = [
    kind
    for kind in DEVICE_KINDS
    if PROVIDERS[kind] in MACHINE.providers and (MACHINE.nvidia or kind not in {"cuda", "tensorrt"})
]


def batch():
    """Rows of different lengths, padded together."""
    random = np.random.default_rng(0)
    return [Tokens(random.integers(999, 9000, length)) for length in (3, 12, 12, 40, 200)]


def rows(model, units):
    found = np.stack([one.dense for one in model.encoder(units)])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HERE)
def test_real_device_gives_the_vectors_of_the_cpu(kind, fp32_folder, tmp_path):
    reference = load("cpu", fp32_folder, device="cpu")
    model = load("m", fp32_folder, device=kind, options=LoadOptions(data_dir=tmp_path, batch_tokens=2048))
    assert model.backend.provider == PROVIDERS[kind]
    together, expected = rows(model, batch()), rows(reference, batch())
    cosines = (together * expected).sum(axis=1)
    print(f"{model.device}: cosine mean {cosines.mean():.7f} min {cosines.min():.7f}; {model.choice}")
    assert cosines.min() > (0.9999999 if kind == "cpu" else 0.9995)
    alone = np.concatenate([rows(model, [one]) for one in batch()])
    assert np.abs(alone - together).max() < (1e-5 if kind == "cpu" else 2e-2)
    for one in (reference, model):
        one.close()
