"""An ONNX folder: exported without torch, refused when it is broken, and never half written."""

import importlib.util
import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import onnx
import pytest
import yaml
from export_sources import rewrite, write_tokenizer
from tiny import SIZES, tiny_weights, write_tiny

from nearfield_server.cli import main
from nearfield_server.encoder.loader import load
from nearfield_server.export.builder import GraphBuilder
from nearfield_server.export.editor import GraphEditor
from nearfield_server.export.errors import ExportError, ParityError
from nearfield_server.export.graph import Float32, build_graph
from nearfield_server.export.pipeline import Options, export_model

SILENT = [].append


@pytest.fixture(scope="module")
def onnx_folder(tmp_path_factory):
    """A pooled graph of 96 vocabulary entries, with a tokenizer of 90."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "onnx").mkdir()
    onnx.save(build_graph(tiny_weights(), Float32()), str(folder / "onnx" / "model.onnx"))
    write_tokenizer(folder, token_types=False, max_tokens=30, size=90)
    rewrite(folder / "config.json", model_type="bert", hidden_size=SIZES["hidden_size"], vocab_size=96)
    (folder / "LICENSE").write_text("MIT License\n")
    return folder


def options(source, target, **changes):
    return Options(**{"model": str(source), "target": target, "precisions": ("fp32", "int8"), **changes})


def test_an_onnx_folder_is_its_own_reference(onnx_folder, tmp_path):
    report = export_model(options(onnx_folder, tmp_path / "made"), SILENT)
    assert report.rows["fp32"].closeness.mean > 0.999999
    assert report.rows["int8"].closeness.mean > 0.999
    assert report.rows["int8"].batch_dependence <= 1e-5
    manifest = yaml.safe_load((tmp_path / "made" / "nearfield.yaml").read_text())
    assert manifest["license"] == "MIT"
    assert manifest["precision"] == "int8-rowwise"
    assert manifest["files"]["providers"] == {
        "cpu": "int8-rowwise",
        "cuda": "fp32",
        "tensorrt": "fp32",
        "openvino": "fp32",
    }
    assert (tmp_path / "made" / "LICENSE").is_file()


@pytest.mark.slow
def test_no_torch_is_imported(onnx_folder, tmp_path):
    script = """
        import sys
        from nearfield_server.cli import main
        code = main(["export", sys.argv[1], "--out", sys.argv[2], "--precision", "fp32,int8,w8,fp16"])
        loaded = {"torch", "transformers", "optimum", "sentence_transformers"} & set(sys.modules)
        sys.exit(code or (f"imported {loaded}" if loaded else 0))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(onnx_folder), str(tmp_path / "made")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("fp32", "int8", "w8", "fp16", "top-10 kept", "nearfield serve"):
        assert word in done.stdout
    assert "verifying" in done.stderr


@pytest.mark.slow
def test_a_killed_export_never_looks_complete(onnx_folder, tmp_path):
    """It is killed between its last graph and its manifest; the next one finds its leftovers and clears them."""
    script = """
        import sys
        from pathlib import Path
        from nearfield_server.export.pipeline import Options, export_model

        def step(what):
            print(what, flush=True)
            if "manifest" in what:
                sys.stdin.read()

        export_model(Options(model=sys.argv[1], target=Path(sys.argv[2]), precisions=("int8",)), step)
    """
    target = tmp_path / "made"
    command = [sys.executable, "-c", textwrap.dedent(script), str(onnx_folder), str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert any("manifest" in line for line in process.stdout)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not target.exists()
    assert [one.name for one in tmp_path.iterdir()] == [".made.part"]
    export_model(options(onnx_folder, target, precisions=("int8",)), SILENT)
    assert [one.name for one in tmp_path.iterdir()] == ["made"]


def test_what_is_too_far_off_is_not_written(onnx_folder, tmp_path):
    with pytest.raises(ParityError, match=r"int8 below --min-cosine 1\.0: nothing was written") as failure:
        export_model(options(onnx_folder, tmp_path / "made", precisions=("int8",), min_cosine=1.0), SILENT)
    assert list(tmp_path.iterdir()) == []
    assert set(failure.value.report.rows) == {"int8"}


def test_an_existing_folder_is_kept(onnx_folder, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(ExportError, match="exists already"):
        export_model(options(onnx_folder, mine), SILENT)
    with pytest.raises(ExportError, match="not overwriting"):
        export_model(options(onnx_folder, mine, force=True), SILENT)
    assert mine.is_dir()


def test_force_replaces_an_earlier_export(onnx_folder, tmp_path):
    for force in (False, True):
        export_model(options(onnx_folder, tmp_path / "made", precisions=("fp32",), force=force), SILENT)
    assert [one.name for one in tmp_path.iterdir()] == ["made"]


def test_judged_pairs_are_scored(onnx_folder, tmp_path):
    rows = [("a dog runs", "a dog runs", 5.0), ("a dog runs", "the sea is calm", 1.0), ("we sing", "they dance", 2.0)]
    lines = [json.dumps({"s1": a, "s2": b, "score": score}) for a, b, score in rows]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    made = options(onnx_folder, tmp_path / "made", precisions=("fp32",), eval_file=tmp_path / "pairs.jsonl")
    report = export_model(made, SILENT)
    assert -100 <= report.rows["fp32"].judged <= 100


def test_a_broken_graph_is_named(onnx_folder, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    write_tokenizer(source, token_types=False)
    rewrite(source / "config.json", model_type="bert")
    graph = GraphBuilder()
    graph.name_output(graph.contrib("NoSuchOperator", "input_ids"), "sentence_embedding")
    model = graph.model({"input_ids": ["b", "s"]}, {"sentence_embedding": ["b", 4]})
    onnx.save(model, str(source / "model.onnx"))
    with pytest.raises(ExportError, match="ONNX Runtime can't load it"):
        export_model(options(source, tmp_path / "made"), SILENT)
    assert not (tmp_path / "made").exists()


def test_a_folder_of_token_vectors_is_pooled(onnx_folder, tmp_path):
    source = tmp_path / "source"
    (source / "onnx").mkdir(parents=True)
    editor = GraphEditor(onnx.load(str(onnx_folder / "onnx" / "model.onnx")))
    # The last layer norm's rows, laid out as [batch, sequence, hidden], are what the pooling reads.
    cube = next(
        node.input[1]
        for node in editor.nodes()
        if node.op_type == "MatMul"
        and "n" in node.input[1][:1]
        and node.output[0] == next(n.input[0] for n in editor.nodes() if n.op_type == "Squeeze")
    )
    editor.rename(cube, "last_hidden_state")
    editor.set_outputs({"last_hidden_state": ["batch", "sequence", SIZES["hidden_size"]]})
    onnx.save(editor.finish(), str(source / "onnx" / "model.onnx"))
    write_tokenizer(source, token_types=False, max_tokens=30, size=90)
    rewrite(source / "config.json", model_type="bert")
    report = export_model(options(source, tmp_path / "made", pooling="mean"), SILENT)
    expected = export_model(options(onnx_folder, tmp_path / "pooled"), SILENT)
    made = onnx.load(str(tmp_path / "made" / report.rows["fp32"].file))
    assert [one.name for one in made.graph.output] == ["sentence_embedding"]
    np.testing.assert_allclose(report.rows["int8"].closeness.mean, expected.rows["int8"].closeness.mean, atol=1e-3)


@pytest.mark.slow
def test_the_command_fails_with_the_table_and_leaves_nothing(onnx_folder, tmp_path, capsys):
    command = ["export", str(onnx_folder), "--out", str(tmp_path / "made"), "--precision", "int8", "--min-cosine", "1"]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert "int8" in printed.out
    assert "below --min-cosine 1.0: nothing was written" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_what_is_not_installed(onnx_folder, tmp_path, capsys, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else known(name))
    assert main(["export", str(onnx_folder), "--out", str(tmp_path / "made")]) == 2
    assert 'onnx not installed: pip install "nearfield[export]"' in capsys.readouterr().err


def test_weights_without_torch_say_what_to_install(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    write_tokenizer(tmp_path, token_types=False)
    known = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else known(name))
    with pytest.raises(ExportError, match=r'torch not installed: pip install "nearfield\[export\]"'):
        export_model(options(tmp_path, tmp_path / "made"), SILENT)


def test_weights_too_large_for_one_file_lie_beside_it(onnx_folder, tmp_path, monkeypatch):
    for module in ("files", "graphs", "smoothing"):
        monkeypatch.setattr(f"nearfield_server.export.{module}.MOST_INLINE_BYTES", 10_000)
    target = tmp_path / "made"
    report = export_model(options(onnx_folder, target, precisions=("fp32", "int8", "w8", "fp16")), SILENT)
    manifest = yaml.safe_load((target / "nearfield.yaml").read_text())
    assert {"onnx/model.onnx", "onnx/model.onnx.data"} <= set(manifest["sha256"])
    assert report.rows["fp32"].bytes > 100_000
    assert report.rows["fp32"].closeness.mean > 0.999999
    for precision in ("fp32", "int8-rowwise"):
        loaded = load("x", target, device="cpu", precision=precision)
        assert loaded.spec.dimensions == SIZES["hidden_size"]


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x07"])
def test_a_damaged_graph_is_named(onnx_folder, tmp_path, content):
    source = tmp_path / "source"
    source.mkdir()
    write_tokenizer(source, token_types=False)
    rewrite(source / "config.json", model_type="bert")
    (source / "model.onnx").write_bytes(content)
    with pytest.raises(ExportError, match=r"model\.onnx"):
        export_model(options(source, tmp_path / "made"), SILENT)
    assert not (tmp_path / "made").exists()
