"""The real encoder through the general route: an ONNX folder of all-MiniLM-L6-v2 in fp32, made row-wise int8."""

import json
from pathlib import Path

import numpy as np
import pytest

from nearfield_server.export.measure import Graph, batch_dependence, closeness
from nearfield_server.export.pipeline import Options, export_model
from nearfield_server.export.samples import encode
from nearfield_server.export.tasks import Task

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.long
def test_int8_of_the_general_pass_is_as_close_as_that_of_the_recipe(fp32_folder, tmp_path):
    target = tmp_path / "made"
    report = export_model(Options(model=str(fp32_folder), target=target, precisions=("int8",)), [].append)
    assert report.rows["int8"].written.facts["smoothing"] == "strong"
    lines = (GOLDEN / "sentences.jsonl").read_text("utf-8").splitlines()
    texts = encode(target / "tokenizer.json", [json.loads(line)["text"] for line in lines], 256)
    reference = np.load(GOLDEN / "reference_fp32.npy")
    graph = Graph(target / "onnx" / "model_int8.onnx", Task.EMBED, optimize=False)
    found = closeness(graph.run_all(texts), list(reference[:, None, :]), Task.EMBED)
    assert found.mean >= 0.998
    assert found.worst >= 0.985
    assert found.order >= 0.96
    assert batch_dependence(graph, texts[:32]) <= 1e-5
