import pytest
from tiny import tiny_tensors, write_tiny

from nearfield_server.export import builtin
from nearfield_server.export.errors import ExportError, SourceError
from nearfield_server.export.manifest import write_folder
from nearfield_server.export.weights import load_encoder


def test_a_missing_tensor_is_named(tmp_path):
    tensors = tiny_tensors()
    del tensors["encoder.layer.1.output.dense.bias"]
    with pytest.raises(SourceError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        load_encoder(write_tiny(tmp_path, tensors))


def test_a_wrong_shape_names_both(tmp_path):
    with pytest.raises(SourceError, match=r"\[96, 48\], config\.json implies \[80, 48\]"):
        load_encoder(write_tiny(tmp_path, vocab_size=80))


def test_a_wrong_digest_is_refused(tmp_path):
    with pytest.raises(SourceError, match="the recipe expects 53aa5117"):
        load_encoder(write_tiny(tmp_path), "53aa5117")


def test_another_activation_is_refused(tmp_path):
    with pytest.raises(SourceError, match="hidden_act is 'relu'"):
        load_encoder(write_tiny(tmp_path, hidden_act="relu"))


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(tmp_path, missing):
    (write_tiny(tmp_path) / missing).unlink()
    with pytest.raises(SourceError, match=missing):
        load_encoder(tmp_path)


def test_a_prefixed_checkpoint_loads(tmp_path):
    load_encoder(write_tiny(tmp_path, {f"bert.{name}": value for name, value in tiny_tensors().items()}))


def test_a_failed_export_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "half").write_text("x")
        raise SourceError("no more")

    with pytest.raises(SourceError):
        write_folder(tmp_path / "model", fill)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_export_is_replaced_but_no_other_folder(tmp_path):
    def fill(folder):
        (folder / "nearfield.yaml").write_text("format: 1\n")

    write_folder(tmp_path / "model", fill)
    write_folder(tmp_path / "model", fill)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(ExportError, match="not overwriting"):
        write_folder(tmp_path / "mine", fill)


def test_the_command_reports_a_wrong_source(tmp_path, capsys):
    source = write_tiny(tmp_path)
    (source / "tokenizer.json").write_text("{}")
    assert builtin.main(["--source", str(source), "--out", str(tmp_path / "out")]) == 1
    assert "tokenizer.json has SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
