"""What the files of a folder say, and every way in which they can be wrong."""

import hashlib
from dataclasses import replace

import pytest

from nearfield_server.encoder.folder import file_sha256, open_folder
from nearfield_server.encoder.loader import load
from nearfield_server.encoder.spec import read_spec
from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import OutputShape, Pooling, SimilarityMetric

MANIFEST = "nearfield.yaml"


def loaded(folder):
    return load("tiny", folder, device="cpu")


def spec_of(folder):
    return loaded(folder).spec


def test_facts_come_from_the_files_that_state_them(tiny):
    spec = spec_of(tiny.write())
    assert (spec.dimensions, spec.max_tokens, spec.vocab_size, spec.pad_id) == (4, 8, 7, 0)
    assert (spec.pooling, spec.normalize, spec.output_shape) == (Pooling.MEAN, True, OutputShape.TOKENS)
    assert (spec.similarity, spec.precision, spec.output_normalized) == (SimilarityMetric.COSINE, "unknown", False)
    assert spec.version == spec.sha256[:12] == file_sha256(spec.model_file)[:12]


def test_the_manifest_wins(tiny):
    text = """
        pooling: cls
        normalize: false
        max_tokens: 5
        similarity: dot
        prompts: {query: "q: "}
        default_prompt_name: query
        precision: fp32
        license: MIT
        quantization_range: 0.5
    """
    spec = spec_of(tiny.write({MANIFEST: text, "config_sentence_transformers.json": {"prompts": {"other": "o"}}}))
    assert (spec.pooling, spec.normalize, spec.max_tokens) == (Pooling.CLS, False, 5)
    assert (spec.similarity, dict(spec.prompts)) == (SimilarityMetric.DOT, {"query": "q: "})
    assert (spec.default_prompt_name, spec.precision, spec.license) == ("query", "fp32", "MIT")
    assert spec.quantization_range == 0.5


def test_prompts_and_metric_of_sentence_transformers(tiny):
    stated = {"prompts": {"query": "q: "}, "default_prompt_name": "query", "similarity_fn_name": "euclidean"}
    spec = spec_of(tiny.write({"config_sentence_transformers.json": stated}))
    assert (dict(spec.prompts), spec.default_prompt_name) == ({"query": "q: "}, "query")
    assert spec.similarity is SimilarityMetric.EUCLIDEAN


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sentence_bert_config.json": None}, 16),
        (
            {
                "sentence_bert_config.json": {"max_seq_length": None},
                "tokenizer_config.json": {"model_max_length": 1e30},
            },
            16,
        ),
        ({"sentence_bert_config.json": {}, "tokenizer_config.json": {"model_max_length": 12}}, 12),
        (
            {
                "sentence_bert_config.json": {},
                "config.json": {"model_type": "roberta", "max_position_embeddings": 16, "pad_token_id": 1},
            },
            14,
        ),
    ],
)
def test_the_longest_input(tiny, files, expected):
    assert open_folder(tiny.write(files)).max_tokens == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode": "cls"}, Pooling.CLS),
        ({"pooling_mode": ["lasttoken"]}, Pooling.LAST_TOKEN),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, Pooling.MAX),
        ({"pooling_mode_lasttoken": True}, Pooling.LAST_TOKEN),
        ({}, None),
    ],
)
def test_pooling_in_its_old_and_new_form(tiny, config, expected):
    assert open_folder(tiny.write({"1_Pooling/config.json": config})).pooling is expected


DENSE = {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
POOLING = {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({MANIFEST: "pooling: [unclosed"}, "nearfield.yaml: can't be read as YAML"),
        ({MANIFEST: "poling: mean"}, "poling: unknown key, did you mean pooling?"),
        ({MANIFEST: "output: {nam: x}"}, "output.nam: unknown key, did you mean name?"),
        ({MANIFEST: "pooling: sum"}, "pooling: Input should be 'mean', 'cls', 'last_token' or 'max'"),
        ({MANIFEST: "max_tokens: 0"}, "max_tokens: "),
        ({MANIFEST: "format: 2"}, "format: "),
        ({MANIFEST: "- a\n- b"}, "nearfield.yaml: "),
        ({MANIFEST: "files: {model: ../other.onnx}"}, "files.model: .*must be a path within the model's folder"),
        ({MANIFEST: "files: {tokenizer: /etc/passwd}"}, "must be a path within the model's folder"),
        ({MANIFEST: "files: {model: 'a\\b'}"}, "must be a path within the model's folder"),
        ({MANIFEST: "files: {model: onnx/none.onnx}"}, "onnx/none.onnx: no such file"),
        ({MANIFEST: f"sha256: {{onnx/model.onnx: {'f' * 64}}}"}, "onnx/model.onnx: SHA-256 is .*damaged or replaced"),
        ({MANIFEST: f"sha256: {{absent.bin: {'f' * 64}}}"}, "absent.bin: .*the file is missing"),
        ({MANIFEST: "sha256: {onnx/model.onnx: short}"}, "sha256"),
        ({MANIFEST: "output: {name: nothing}"}, "the graph has no output nothing; it has: last_hidden_state"),
        ({MANIFEST: "dimensions: 5"}, "dimensions: 5, but the graph gives 4"),
        ({MANIFEST: "default_prompt_name: q"}, "default_prompt_name q isn't among prompts"),
        ({"config_sentence_transformers.json": {"default_prompt_name": "q"}}, "q isn't among prompts"),
        ({"tokenizer.json": None}, "tokenizer.json: no such file"),
        ({"tokenizer.json": "{}"}, "tokenizer.json: no tokenizer can be read from it"),
        ({"config.json": "{"}, "config.json: can't be read as JSON"),
        ({"modules.json": {}}, "modules.json: holds dict where list belongs"),
        ({"config.json": []}, "config.json: holds list where dict belongs"),
        ({"1_Pooling/config.json": None}, "no file tells the pooling: add `pooling: …`, one of mean, cls"),
        (
            {"1_Pooling/config.json": {"pooling_mode": "weightedmean"}},
            "pooling weightedmean isn't offered; known: mean",
        ),
        (
            {"1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}},
            "pooling_mode_mean_tokens with pooling_mode_cls_token isn't offered",
        ),
        ({"modules.json": [POOLING, DENSE]}, "Dense after pooling isn't run here"),
        ({"modules.json": [POOLING | {"path": "../../x"}]}, "leads out of the model's folder"),
        (
            {"sentence_bert_config.json": None, "config.json": {}},
            "no file tells the longest input: add `max_tokens: N`",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tiny, files, message):
    with pytest.raises(ModelLoadFailure, match=message):
        loaded(tiny.write(files))


def test_hashes_that_fit(tiny):
    folder = tiny.write()
    digest = hashlib.sha256((folder / "onnx/model.onnx").read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(f"sha256: {{onnx/model.onnx: {digest}}}")
    assert spec_of(folder).sha256 == digest
    assert read_spec(folder).verify() == digest


def test_no_folder_and_no_graph(tiny, tmp_path):
    with pytest.raises(ModelLoadFailure, match="no such folder"):
        open_folder(tmp_path / "nowhere")
    folder = tiny.write(model_file="")
    with pytest.raises(ModelLoadFailure, match="no ONNX file"):
        open_folder(folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelLoadFailure, match="no ONNX file"):
        open_folder(folder)


def test_of_several_graphs_one_must_be_chosen(tiny):
    folder = tiny.write(model_file="onnx/model_a.onnx")
    assert open_folder(folder).model_file == folder / "onnx/model_a.onnx"
    (folder / "onnx/model_b.onnx").write_bytes((folder / "onnx/model_a.onnx").read_bytes())
    with pytest.raises(ModelLoadFailure, match=r"several ONNX files \(onnx/model_a.onnx, onnx/model_b.onnx\): choose"):
        open_folder(folder)
    (folder / MANIFEST).write_text("files: {model: onnx/model_b.onnx}")
    assert open_folder(folder).model_file == folder / "onnx/model_b.onnx"


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json", "config.json", "1_Pooling", MANIFEST])
def test_links_out_of_the_folder_are_refused(tiny, tmp_path, name):
    folder = tiny.write({MANIFEST: "license: MIT"})
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(ModelLoadFailure, match="leads out of the model's folder"):
        loaded(folder)


def test_links_within_a_hub_cache_are_followed(tiny, tmp_path):
    folder = tiny.write()
    repository = tmp_path / "models--org--name"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots" / "abc"
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    for number, path in enumerate(sorted(snapshot.rglob("*.*"))):
        if path.is_file():
            path.rename(repository / "blobs" / str(number))
            path.symlink_to(repository / "blobs" / str(number))
    spec = spec_of(snapshot)
    assert replace(spec, name="").dimensions == 4
