"""Folders in the other shapes that users have them in."""

import json
import shutil

import numpy as np
import pytest
from foreign import unwarned

from nearfield import Client

pytestmark = pytest.mark.slow
TEXTS = ["How long should I boil an egg?", "", "A cat sleeps. " * 200]


def vectors(folder, **options):
    with unwarned():
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds

        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, **options)
        return model.encode(TEXTS, batch_size=1), model


def rewrite(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_limit_beyond_the_positions_that_the_model_has(zoo, start_server, tmp_path):
    """sentence-transformers writes so where RoBERTa's tokenizer states no limit; it fails itself on long texts."""
    shutil.copytree(zoo["roberta"], tmp_path / "model")
    expected, _ = vectors(zoo["roberta"])
    rewrite(tmp_path / "model" / "tokenizer_config.json", model_max_length=130)
    with Client(start_server(models={"roberta": str(tmp_path / "model")}).target) as client:
        assert client.model().max_tokens == 128
        assert np.abs(client.embed(TEXTS) - expected).max() <= 1e-4


def test_as_optimum_cli_writes_it(zoo, start_server, tmp_path):
    """All in one folder and no modules.json: the manifest says what no file does."""
    source = zoo["mpnet"]
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(source / name, tmp_path / name)
    shutil.copy(source / "onnx" / "model.onnx", tmp_path / "model.onnx")
    (tmp_path / "nearfield.yaml").write_text("pooling: mean\nnormalize: true\nmax_tokens: 100\n")
    with Client(start_server(models={"mpnet": str(tmp_path)}).target) as client:
        assert np.abs(client.embed(TEXTS) - vectors(source)[0]).max() <= 1e-4


def test_a_module_after_pooling_that_the_graph_lacks_is_not_left_out_quietly(zoo, start_server, tmp_path):
    shutil.copytree(zoo["gte-dense"], tmp_path / "model")
    shutil.copy(zoo["bert-cls"] / "onnx" / "model.onnx", tmp_path / "model" / "onnx" / "model.onnx")
    models = {"good": str(zoo["bert-mean"]), "dense": str(tmp_path / "model")}
    with Client(start_server(models=models).target) as client:
        model = client.model("dense")
        assert model.state == "failed"
        assert "modules.json" in model.state_message
        assert "Dense" in model.state_message
