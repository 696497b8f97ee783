"""Each architecture and task from the folder that its users have to a folder that the server loads.

The reference is transformers' and sentence-transformers' own; here the figures that the export measured are judged.
"""

import numpy as np
import pytest
import yaml
from export_sources import BUILDERS, WIDTH

from nearfield_server.encoder.loader import load
from nearfield_server.export.errors import ExportError
from nearfield_server.export.pipeline import Options, export_model
from nearfield_server.export.tasks import MANIFEST_NAMES, Task

pytestmark = pytest.mark.slow

TASKS = {
    "splade": Task.SPARSE,
    "colbert": Task.MULTI,
    "colbert-stanford": Task.MULTI,
    "reranker": Task.RERANK,
    "classifier": Task.CLASSIFY,
}


@pytest.fixture(scope="module", params=BUILDERS)
def exported(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    source, target = root / "source", root / "made"
    source.mkdir()
    BUILDERS[request.param](source)
    notes = []
    # Two threads for matrices of 32 columns only wait for each other on a busy machine.
    import torch  # noqa: PLC0415 - seconds, which other tests needn't wait for

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    options = Options(model=str(source), target=target, precisions=("fp32", "int8", "w8"), min_cosine=0.97)
    report = export_model(options, notes.append)
    torch.set_num_threads(threads)
    return request.param, target, report, notes


def test_float32_equals_the_reference(exported):
    name, _, report, _ = exported
    assert report.task is TASKS.get(name, Task.EMBED)
    for row in (report.rows["fp32"], *report.images.values()):
        if row.file.endswith("model.onnx"):
            assert row.closeness.mean > 0.999999
    worst = report.rows["fp32"].closeness.worst
    assert worst < 1e-4 if report.task.scores else worst > 0.99999


def test_float32_and_int8_do_not_hang_on_the_batch(exported):
    _, _, report, _ = exported
    for row in (report.rows["fp32"], report.rows["int8"], *report.images.values()):
        assert row.batch_dependence <= 1e-5


def test_the_server_loads_every_precision(exported):
    name, folder, report, _ = exported
    for precision in report.rows:
        loaded = load("x", folder, device="cpu", precision=MANIFEST_NAMES[precision])
        assert loaded.spec.precision == MANIFEST_NAMES[precision]
    width = {"bert-cls-dense": WIDTH, "colbert": WIDTH, "colbert-stanford": WIDTH, "clip": 24}.get(name, 32)
    assert loaded.spec.dimensions == (0 if report.task in (Task.SPARSE, Task.CLASSIFY, Task.RERANK) else width)
    assert (loaded.spec.vision is not None) == (name == "clip")


def test_nothing_but_the_folder_is_left(exported):
    _, folder, report, _ = exported
    assert {one.name for one in folder.parent.iterdir()} == {"source", "made"}
    manifest = yaml.safe_load((folder / "nearfield.yaml").read_text())
    graphs = {str(one.relative_to(folder)) for one in folder.rglob("*.onnx")}
    assert graphs == {row.file for _, row in report.everything()}
    assert graphs <= set(manifest["sha256"])
    assert not list(folder.rglob("*.safetensors"))


def test_a_plain_folder_says_how_it_is_pooled(exported):
    name, folder, _, notes = exported
    said = any("taking the mean" in note for note in notes)
    assert said == (name == "roberta-plain")
    if said:
        assert yaml.safe_load((folder / "nearfield.yaml").read_text())["pooling"] == "mean"


def test_figures_are_finite(exported):
    _, _, report, _ = exported
    for _, row in report.everything():
        assert np.isfinite([row.closeness.mean, row.closeness.worst, row.closeness.order, row.texts_per_second]).all()


def test_a_task_that_the_weights_are_not_made_for_is_refused(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    BUILDERS["roberta-plain"](source)
    with pytest.raises(ExportError, match=r"the weights lack classifier.*isn't made for the task rerank"):
        export_model(Options(model=str(source), target=tmp_path / "made", task="rerank"), [].append)
    assert [one.name for one in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"])
def test_damaged_weights_are_refused(tmp_path, content):
    source = tmp_path / "source"
    source.mkdir()
    BUILDERS["roberta-plain"](source)
    (source / "model.safetensors").write_bytes(content)
    with pytest.raises(ExportError, match="transformers can't load it"):
        export_model(Options(model=str(source), target=tmp_path / "made"), [].append)
