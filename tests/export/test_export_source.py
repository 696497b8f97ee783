"""What is refused, and what is read from which file."""

import json

import numpy as np
import pytest
from export_sources import rewrite, write_dense, write_modules, write_pooling
from safetensors.numpy import save_file

from nearfield_server.export import facts, hub
from nearfield_server.export.errors import ExportError, SourceError
from nearfield_server.export.pipeline import Options, export_model
from nearfield_server.export.samples import read_pairs
from nearfield_server.export.source import open_source
from nearfield_server.export.tasks import Task


@pytest.fixture
def folder(tmp_path):
    """As transformers saves a model, with next to no weights."""
    rewrite(tmp_path / "config.json", model_type="bert", architectures=["BertModel"], max_position_embeddings=64)
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    return tmp_path


def test_remote_code_is_refused(folder):
    rewrite(folder / "config.json", auto_map={"AutoModel": "modeling_mine.Mine"})
    with pytest.raises(SourceError, match="trust_remote_code"):
        open_source(folder)


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"pytorch_model\.bin: pickled weights"):
        open_source(folder)


def test_pickled_layers_are_refused(folder):
    write_dense(folder, "2_Dense")
    (folder / "2_Dense/model.safetensors").rename(folder / "2_Dense/pytorch_model.bin")
    write_pooling(folder, "mean")
    write_modules(folder, ("st.Transformer", ""), ("st.Pooling", "1_Pooling"), ("st.Dense", "2_Dense"))
    with pytest.raises(SourceError, match="pickled weights are refused"):
        facts.head_of(open_source(folder), ("mean",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"type": "my.Attic", "path": ""}], r"module my\.Attic isn't known"),
        ([{"type": "st.Pooling", "path": "../elsewhere"}], "leads out of the folder"),
        ({"type": "st.Pooling"}, "can't be read"),
        ([{"type": "st.Pooling"}], "can't be read"),
    ],
)
def test_a_wrong_modules_file_is_refused(folder, content, message):
    (folder / "modules.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=message):
        open_source(folder)


@pytest.mark.parametrize(("name", "text"), [("config.json", "{"), ("config.json", "[1]")])
def test_a_damaged_file_is_named(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(SourceError, match=name):
        open_source(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"config\.json does not exist"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "config", "task"),
    [
        ("BertModel", {}, Task.EMBED),
        ("BertForMaskedLM", {}, Task.SPARSE),
        ("HF_ColBERT", {}, Task.MULTI),
        ("BertForSequenceClassification", {"id2label": {"0": "LABEL_0"}}, Task.RERANK),
        ("BertForSequenceClassification", {"id2label": {"0": "a", "1": "b"}}, Task.CLASSIFY),
        ("BertForSequenceClassification", {}, Task.CLASSIFY),
        ("CLIPModel", {"model_type": "clip"}, Task.EMBED),
    ],
)
def test_the_task_is_read_from_the_files(folder, architecture, config, task):
    rewrite(folder / "config.json", architectures=[architecture], **config)
    assert open_source(folder).task is task
    assert open_source(folder, "multi").task is Task.MULTI


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"pooling_mode_cls_token": True}, ("cls",)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, ("cls", "mean")),
        ({"pooling_mode": "lasttoken"}, ("lasttoken",)),
        ({"pooling_mode": ["max", "weightedmean"]}, ("max", "weightedmean")),
        ({}, ("mean",)),
    ],
)
def test_pooling_is_read_in_both_spellings(folder, config, names):
    rewrite(folder / "1_Pooling/config.json", **config)
    write_modules(folder, ("st.Transformer", ""), ("st.Pooling", "1_Pooling"))
    assert open_source(folder).poolings == names


@pytest.mark.parametrize(
    ("config", "message"), [({"include_prompt": False}, "include_prompt"), ({"pooling_mode": "median"}, "median")]
)
def test_pooling_that_cannot_be_had_is_refused(folder, config, message):
    rewrite(folder / "1_Pooling/config.json", **config)
    write_modules(folder, ("st.Transformer", ""), ("st.Pooling", "1_Pooling"))
    with pytest.raises(SourceError, match=message):
        _ = open_source(folder).poolings


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"use_residual": True}, "use_residual"),
        ({"activation_function": "my.own.Swirl"}, "Swirl isn't known"),
        ({"module_input_name": "cls"}, "module_input_name"),
    ],
)
def test_layers_that_cannot_be_had_are_refused(folder, config, message):
    write_dense(folder, "1_Dense")
    rewrite(folder / "1_Dense/config.json", **config)
    write_modules(folder, ("st.Transformer", ""), ("st.Dense", "1_Dense"))
    with pytest.raises(SourceError, match=message):
        facts.head_of(open_source(folder), ())


def test_limits(folder):
    assert facts.max_tokens(open_source(folder)) == 64
    rewrite(folder / "tokenizer_config.json", model_max_length=1e30)
    assert facts.max_tokens(open_source(folder)) == 64
    rewrite(folder / "sentence_bert_config.json", max_seq_length=32)
    assert facts.max_tokens(open_source(folder)) == 32
    rewrite(folder / "config.json", model_type="roberta", pad_token_id=1, max_position_embeddings=20)
    assert facts.max_tokens(open_source(folder)) == 18


def test_a_limit_that_nobody_states_is_an_error(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(SourceError, match="no file tells the longest input"):
        facts.max_tokens(open_source(folder))


CARD = (
    '---\nlicense: apache-2.0\nbase_model: me/mine\n---\n# Mine\n```json\n{"matryoshka_dims": [768, 256, 128]}\n```\n'
)


def test_the_model_card_states_licence_and_widths(folder):
    (folder / "README.md").write_text(CARD)
    source = open_source(folder)
    assert facts.licence(source) == "Apache-2.0"
    assert facts.card(source)["base_model"] == "me/mine"
    assert facts.matryoshka(source, 768) == [256, 128]


@pytest.mark.parametrize("card", ["no front matter", "---\n[\n---\n", "---\n- a list\n---\n"])
def test_a_card_without_facts_is_no_error(folder, card):
    (folder / "README.md").write_text(card)
    assert facts.card(open_source(folder)) == {}
    assert facts.licence(open_source(folder)) == ""


def test_a_licence_file_is_known_by_its_words(folder):
    (folder / "LICENSE").write_text("                    Apache License\n              Version 2.0, January 2004\n")
    assert facts.licence(open_source(folder)) == "Apache-2.0"


def test_offline_a_hub_id_fails_at_once(monkeypatch):
    from huggingface_hub import constants  # noqa: PLC0415 - only this test needs it

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="give a model folder instead"):
        hub.resolve("intfloat/e5-small-v2")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a b", "a/b/c"])
def test_a_wrong_path_is_no_hub_id(name):
    with pytest.raises(SourceError, match="is no folder"):
        hub.resolve(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precisions": ("int4",)}, "--precision int4"),
        ({"precisions": ()}, "--precision names none"),
        ({"task": "guess"}, "--task guess"),
        ({"pooling": "median"}, "--pooling median"),
    ],
)
def test_wrong_options_are_refused(folder, tmp_path, changes, message):
    with pytest.raises(ExportError, match=message):
        export_model(Options(model=str(folder), target=tmp_path / "made", **changes), [].append)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"s1": "a", "s2": "b"}\n', "line 1"),
        ('{"s1": "a", "s2": "b", "score": 1}\nnonsense\n', "line 2"),
        ('{"s1": "a", "s2": "b", "score": 1}\n', "fewer than two"),
    ],
)
def test_a_wrong_line_of_pairs_is_named(tmp_path, text, message):
    (tmp_path / "pairs.jsonl").write_text(text)
    with pytest.raises(SourceError, match=message):
        read_pairs(tmp_path / "pairs.jsonl")


def test_pairs_that_are_not_there_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"pairs\.jsonl\.gz: can't be read"):
        read_pairs(tmp_path / "pairs.jsonl.gz")
