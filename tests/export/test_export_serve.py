"""An exported folder, served: `nearfield serve --model mine=DIR`."""

import numpy as np
import pytest
import yaml
from export_sources import rewrite, write_tokenizer
from tiny import SIZES, write_tiny

import nearfield
from nearfield_server.export.graph import Float32, build_graph
from nearfield_server.export.measure import Graph
from nearfield_server.export.pipeline import Options, export_model
from nearfield_server.export.samples import encode, verification_texts
from nearfield_server.export.tasks import Task
from nearfield_server.export.weights import load_encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    weights = load_encoder(write_tiny(source))
    (source / "model.safetensors").unlink()
    (source / "model.onnx").write_bytes(build_graph(weights, Float32()).SerializeToString())
    write_tokenizer(source, token_types=False, max_tokens=30, size=90)
    rewrite(source / "config_sentence_transformers.json", prompts={"query": "find "}, default_prompt_name=None)
    target = source.parent / "made"
    options = Options(model=str(source), target=target, precisions=("fp32", "int8"))
    export_model(options, [].append)
    return target


@pytest.mark.parametrize(("precision", "file"), [("auto", "model_int8.onnx"), ("fp32", "model.onnx")])
def test_the_server_gives_what_was_verified(folder, start_server, precision, file):
    handle = start_server(models={"mine": str(folder)}, precision=precision)
    texts = [text for text in verification_texts() if len(text) < 40]
    with nearfield.Client(handle.target) as client:
        found = client.embed(texts, model="mine", normalize=True)
        (model,) = client.models()
    limit = yaml.safe_load((folder / "nearfield.yaml").read_text())["max_tokens"]
    graph = Graph(folder / "onnx" / file, Task.EMBED, optimize=False)
    expected = np.concatenate(graph.run_all(encode(folder / "tokenizer.json", texts, limit)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.dimensions == SIZES["hidden_size"]
    assert model.precision == ("int8-rowwise" if precision == "auto" else "fp32")
