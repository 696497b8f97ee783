"""Models loaded, swapped, named and watched through the client, on the real server."""

import threading

import numpy as np
import pytest
import small_models

import nearfield

pytestmark = pytest.mark.slow
TEXTS = [f"sentence {index}, {'and more ' * (index % 9)}." for index in range(60)]


@pytest.fixture
def client(start_server, tmp_path):
    for version, seed in (("1", 1), ("2", 2)):
        small_models.everything(tmp_path / "models" / "mine" / version, seed)
    server = start_server(
        repository={"path": tmp_path / "models", "startup": "none"},
        limits={"max_inputs": 5},
        models={"small": "builtin"},
    )
    with nearfield.Client(server.target) as client:
        yield client


def vectors_of(client, seed):
    table = small_models.table(seed)
    rows = np.stack([table[list(tokens.ids)].mean(axis=0) for tokens in client.tokenize(TEXTS, model="small")])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_load_swap_name_and_unload(client):
    assert client.load_model("mine", "1").repository_version == "1"
    np.testing.assert_allclose(client.embed(TEXTS, model="mine"), vectors_of(client, 1), atol=1e-5)
    assert client.load_model("mine", keep_previous=True).repository_version == "2"
    np.testing.assert_allclose(client.embed(TEXTS, model="mine"), vectors_of(client, 2), atol=1e-5)
    np.testing.assert_allclose(client.embed(TEXTS, model="mine@1"), vectors_of(client, 1), atol=1e-5)
    assert client.set_alias("query@canary", "mine@1") == {"query@canary": "mine@1"}
    np.testing.assert_allclose(client.embed(TEXTS, model="query@canary"), vectors_of(client, 1), atol=1e-5)
    with pytest.raises(nearfield.FailedPrecondition):
        client.unload_model("mine", "1")
    assert client.delete_alias("query@canary") == client.aliases() == {}
    assert client.unload_model("mine", "1").state == "unloaded"


def test_refusals_have_their_classes(client):
    client.load_model("mine", "1")
    with pytest.raises(nearfield.AlreadyExists):
        client.load_model("mine", "1")
    with pytest.raises(nearfield.NotFound):
        client.load_model("mine", "7")
    with pytest.raises(nearfield.FailedPrecondition):
        client.unload_model("small")
    with pytest.raises(nearfield.NotFound):
        client.set_alias("other", "nobody")
    with pytest.raises(nearfield.InvalidArgument):
        client.set_alias("mine", "small")


def test_results_under_swaps_are_of_one_version(client):
    client.load_model("mine", "1")
    expected = [vectors_of(client, seed) for seed in (1, 2)]
    done = threading.Event()

    def swap():
        for turn in range(4):
            client.load_model("mine", "2" if turn % 2 == 0 else "1")
        done.set()

    swapper = threading.Thread(target=swap)
    swapper.start()
    calls = exchanged = 0
    try:
        while not done.is_set():
            calls += 1
            try:
                vectors = client.embed(TEXTS, model="mine")
            except nearfield.Aborted:
                exchanged += 1
                continue
            assert min(np.abs(vectors - one).max() for one in expected) < 1e-5
    finally:
        swapper.join(60)
    assert calls > exchanged


def test_a_watch_tells_of_swaps(client):
    watch = client.watch_models("mine", timeout=30)
    seen = threading.Thread(target=lambda: client.load_model("mine", "1"))
    seen.start()
    states = []
    for model in watch:
        states.append((model.repository_version, model.state))
        if model.state == "ready":
            break
    watch.close()
    seen.join(30)
    assert states[-1] == ("1", "ready")
