"""Graphs that do harm while they serve: the call fails, the model's neighbours and the process live on."""

import grpc
import numpy as np
import psutil
import pytest
from folders import WIDTH, graph, node, tokenizer_json, write

import nearfield
from nearfield import Client, RetryPolicy

pytestmark = pytest.mark.slow
MEBIBYTE = 1 << 20


def huge():
    """Ask for 10^13 elements where the text says so."""
    steps = [
        node("Mul", ["seen", "ten_to_the_13"], ["size"]),
        node("Unsqueeze", ["size", "axis"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        node("Add", ["looked_up", "none"], ["last_hidden_state"]),
    ]
    return graph(steps=steps, constants={"ten_to_the_13": np.array(10**13), "axis": np.array([0])})


def not_finite():
    """Divide by zero where the text says so."""
    steps = [
        node("Sub", ["one", "marked"], ["divisor"]),
        node("Div", ["looked_up", "divisor"], ["last_hidden_state"]),
    ]
    return graph(steps=steps, constants={"one": np.array(1.0, np.float32)})


def misshapen():
    """Give twice as many rows where the text says so."""
    steps = [
        node("Add", ["seen", "one"], ["times"]),
        node("Unsqueeze", ["times", "axis"], ["first"]),
        node("Concat", ["first", "ones"], ["repeats"], axis=0),
        node("Tile", ["looked_up", "repeats"], ["last_hidden_state"]),
    ]
    constants = {"one": np.array(1), "axis": np.array([0]), "ones": np.array([1, 1])}
    return graph(steps=steps, constants=constants)


def index_error():
    """Look up a row that isn't there where the text says so."""
    steps = [
        node("Mul", ["seen", "million"], ["far"]),
        node("Add", ["input_ids", "far"], ["wrong"]),
        node("Gather", ["table", "wrong"], ["last_hidden_state"]),
    ]
    return graph(steps=steps, constants={"million": np.array(1_000_000)})


def zero():
    """Give zero vectors where the text says so."""
    steps = [
        node("Sub", ["one", "marked"], ["factor"]),
        node("Mul", ["looked_up", "factor"], ["last_hidden_state"]),
    ]
    return graph(steps=steps, constants={"one": np.array(1.0, np.float32)})


GRAPHS = {
    "huge": huge,
    "not-finite": not_finite,
    "misshapen": misshapen,
    "index-error": index_error,
    "zero": zero,
}
SHOUTING = "a" * 40 + "!"
REGEX_BOMB = {"type": "Replace", "pattern": {"Regex": "(a|a|aa)+$"}, "content": ""}


@pytest.fixture(scope="module")
def served(tmp_path_factory, start_server):
    root = tmp_path_factory.mktemp("serving")
    folders = {"good": write(root / "good")}
    for name, make in GRAPHS.items():
        config = {"modules.json": [*FILES_NORMALIZED]} if name == "zero" else None
        folders[name] = write(root / name, config, make())
    folders["regex-bomb"] = write(root / "regex-bomb", {"tokenizer.json": tokenizer_json(normalizer=REGEX_BOMB)})
    handle = start_server(models={name: str(path) for name, path in folders.items()})
    with Client(handle.target, retry=RetryPolicy(max_attempts=1)) as client:
        for name in folders:
            next(one for one in client.watch_models(name, timeout=100) if one.state in {"ready", "failed"})
        yield client


FILES_NORMALIZED = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_call_fails_and_all_else_goes_on(served, name):
    assert served.model(name).state == "ready", served.model(name).state_message
    before = psutil.Process().memory_info().rss
    for _ in range(5):
        with pytest.raises(nearfield.NearfieldError) as caught:
            served.embed(["good trigger text"], model=name)
        assert caught.value.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "trigger" not in str(caught.value)
        assert np.isfinite(served.embed(["good text"] * 3, model=name)).all()
        assert served.embed(["good text"], model="good").shape == (1, WIDTH)
    grown = psutil.Process().memory_info().rss - before
    print(f"{name}: {caught.value}; grown by {grown / MEBIBYTE:.1f} MiB")
    assert grown < 64 * MEBIBYTE
    assert served.model(name).state == "ready"


@pytest.mark.parametrize("name", GRAPHS)
def test_only_the_culprit_of_a_batch_fails(served, name):
    texts = ["good text", "good trigger", "text good"]
    outcomes = list(served.embed_stream(texts, model=name, batch_size=1))
    assert {one.index for one in outcomes if one.error is not None} == {1}


def test_a_regular_expression_that_never_ends(served):
    """Oniguruma gives up after ten million steps, in 0.1 s, and the library panics."""
    assert served.model("regex-bomb").state == "ready", served.model("regex-bomb").state_message
    with pytest.raises(nearfield.InternalError):
        served.embed([SHOUTING], model="regex-bomb", timeout=30)
    assert served.embed(["good text"], model="good", timeout=60).shape == (1, WIDTH)
