"""A broken or hostile folder is refused with the file and the fault; the good model beside it serves on."""

import re

import numpy as np
import pytest
from cases import ACCEPTED, CASES, GIGANTIC
from folders import write

from nearfield import Client

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
def test_is_refused_with_the_file_and_the_fault(served, name):
    assert served.models[name].state == "failed"
    print(served.messages[name])
    assert re.search(CASES[name].message, served.messages[name])
    assert len(served.messages[name]) < 1000
    assert "\n" not in served.messages[name]


@pytest.mark.parametrize("name", ACCEPTED)
def test_is_served_all_the_same(served, name):
    assert served.models[name].state == "ready", served.messages[name]
    assert np.isfinite(served.client.embed(["good text"], model=name)).all()


def test_the_good_model_serves_beside_all_of_them(served):
    assert served.models["good"].state == "ready"
    assert served.client.embed(["good text"] * 100, model="good").shape == (100, 4)
    assert served.client.health() == "SERVING"
    assert {one.name for one in served.client.models()} == {"good", *CASES, *ACCEPTED}


def test_nothing_in_a_folder_is_run(served, built):
    assert served.models["code-beside"].state == "ready"
    assert not built["code-beside"].with_name("code-beside-was-run").exists()


def test_a_model_that_cannot_be_calibrated_does_not_end_the_server(start_server, built, tmp_path):
    gigantic = write(tmp_path / "gigantic", GIGANTIC.files)
    with Client(start_server(models={"good": str(built["good"]), "gigantic": str(gigantic)}).target) as client:
        client.wait_ready()
        assert client.embed(["good text"], model="good").shape == (1, 4)
        model = next(one for one in client.watch_models("gigantic", timeout=60) if one.state != "loading")
        assert model.state == "failed"
        assert re.search(GIGANTIC.message, model.state_message)


def test_flipped_bytes(start_server, built, tmp_path):
    """Of a graph whose SHA-256 nobody states a damaged number can't be seen, but nothing worse comes of it."""
    data = (built["good"] / "onnx/model.onnx").read_bytes()
    chance = np.random.default_rng(2)
    models = {"good": str(built["good"])}
    for at in sorted(chance.integers(0, len(data), 16)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(chance.integers(0, 8))
        models[f"flip-{at}"] = str(write(tmp_path / str(at), None, bytes(damaged)))
    with Client(start_server(models=models).target) as client:
        for name in models:
            model = next(one for one in client.watch_models(name, timeout=200) if one.state in {"ready", "failed"})
            print(name, model.state, model.state_message[-80:])
            if model.state == "ready":
                rows = client.embed(["good text"], model=name)
                assert rows.shape[0] == 1
                assert np.isfinite(rows).all()
            else:
                assert "onnx/model.onnx: " in model.state_message
        assert client.model("good").state == "ready"
