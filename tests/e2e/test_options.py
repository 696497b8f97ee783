"""What can be asked of vectors: width, length, element type, model, prompt, metric."""

import json
import shutil

import numpy as np
import pytest

from nearfield.v1 import embed_pb2, types_pb2
from nearfield_server.encoder.builtin import builtin_folder

TEXTS = [
    "A cat sits on the mat.",
    "Stock markets fell sharply today.",
    "",
    "Ein deutscher Satz, etwas länger als die anderen.",
]


def dtype(name):
    return types_pb2.DType.Value(f"DTYPE_{name}")


@pytest.fixture(scope="module")
def full(wire, api):
    return api.rows(wire.embed(*TEXTS))


def test_vectors_have_unit_length(full):
    assert np.allclose(np.linalg.norm(full, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 8, 255, 384])
def test_cut_vectors_get_unit_length_again(wire, api, full, dimensions):
    cut = full[:, :dimensions]
    expected = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    assert np.allclose(api.rows(wire.embed(*TEXTS, dimensions=dimensions)), expected, atol=1e-6)


@pytest.mark.parametrize("dimensions", [0, 385, 4_294_967_295])
def test_widths_that_the_model_lacks(wire, dimensions):
    failure = wire.embed("a", dimensions=dimensions)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("dimensions",))
    assert "1 to 384" in failure.message


def test_vectors_as_they_are(wire, api, full):
    raw = api.rows(wire.embed(*TEXTS, normalize=False))
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert (np.abs(lengths - 1) > 0.01).any()
    assert np.allclose(raw / lengths, full, atol=1e-6)
    assert np.allclose(api.rows(wire.embed(*TEXTS, normalize=False, dimensions=8)), raw[:, :8], atol=1e-6)


@pytest.mark.parametrize("name", ["INT8", "UINT8"])
def test_integers_need_unit_length(wire, name):
    failure = wire.embed("a", normalize=False, output_dtype=dtype(name))
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("output_dtype",))


def test_half_floats(wire, api, full):
    half = api.rows(wire.embed(*TEXTS, output_dtype=dtype("FLOAT16")))
    assert np.array_equal(half, full.astype(np.float16))


@pytest.mark.parametrize(("name", "zero"), [("INT8", 0), ("UINT8", 128)])
@pytest.mark.parametrize("dimensions", [384, 64])
def test_integers_stand_for_the_real_values(wire, api, full, name, zero, dimensions):
    reply = wire.embed(*TEXTS, output_dtype=dtype(name), dimensions=dimensions)
    rows, quantization = api.rows(reply), reply.quantization
    assert quantization.zero_point == zero
    assert quantization.scale == pytest.approx(0.25 * (384 / dimensions) ** 0.5 / 127)
    assert zero - 127 <= rows.min() < rows.max() <= zero + 127
    texts = [0, 1, 3]  # one component of the empty text's vector is far beyond the range
    real = (rows[texts].astype(np.float32) - zero) * quantization.scale
    cut = full[texts, :dimensions]
    assert ((real * cut).sum(axis=1) / np.linalg.norm(real, axis=1) / np.linalg.norm(cut, axis=1) > 0.999).all()


@pytest.mark.parametrize("dimensions", [384, 13])
def test_bits_are_those_of_sentence_transformers(wire, api, full, dimensions):
    packed = np.packbits(full[:, :dimensions] > 0, axis=-1)
    unsigned = wire.embed(*TEXTS, output_dtype=dtype("UBINARY"), dimensions=dimensions)
    signed = wire.embed(*TEXTS, output_dtype=dtype("BINARY"), dimensions=dimensions)
    assert np.array_equal(api.rows(unsigned), packed)
    assert np.array_equal(api.rows(signed), (packed - 128).astype(np.int8))
    assert not signed.HasField("quantization")


def test_token_ids_give_the_vector_of_their_text(wire, api, full):
    request = embed_pb2.TokenizeRequest(texts=TEXTS)
    ids = [list(one.ids) for one in wire.call("EmbedService/Tokenize", request).texts]
    assert np.allclose(api.rows(wire.embed(*ids)), full, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["all-minilm-l6-v2", "all-MiniLM-L6", "gpt", "a/b", "../../etc/passwd", "C:\\x", "a\0b", "é"]
)
def test_unknown_models(wire, name):
    failure = wire.embed("a", model=name)
    assert (failure.code, failure.reason) == ("NOT_FOUND", "MODEL_NOT_FOUND")
    assert failure.resource.isascii()
    assert failure.resource.isprintable()
    assert ("did you mean all-MiniLM-L6-v2?" in failure.message) == name.lower().startswith("all-minilm")


@pytest.mark.parametrize("name", ["a\r\nb", 'a"b', "a\x1b[31m", "a" * 257, "a" * 10_000])
def test_names_that_could_forge_a_line_are_refused(wire, name):
    for method, message in (
        ("EmbedService/Embed", embed_pb2.EmbedRequest(model=name)),
        ("EmbedService/Tokenize", embed_pb2.TokenizeRequest(model=name)),
        ("EmbedService/Detokenize", embed_pb2.DetokenizeRequest(model=name)),
    ):
        if method.endswith("/Embed"):
            message.inputs.add(text="a")
        elif method.endswith("/Tokenize"):
            message.texts.append("a")
        else:
            message.sequences.add(ids=[1])
        failure = wire.call(method, message)
        assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("model",))
        assert name not in failure.message


def test_unknown_prompts(wire):
    failure = wire.embed("a", prompt_name="query")
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("prompt_name",))
    assert "it has: none" in failure.message


def test_an_input_type_without_prompt_changes_nothing(wire, api, full):
    for kind in (types_pb2.INPUT_TYPE_QUERY, types_pb2.INPUT_TYPE_CLUSTERING):
        assert np.allclose(api.rows(wire.embed(*TEXTS, input_type=kind)), full, atol=1e-6)


@pytest.fixture(scope="module")
def prompted(start_server, connect, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "prompted"
    shutil.copytree(builtin_folder(), folder)
    prompts = {"query": "query: ", "passage": "passage: ", "clustering": ""}
    (folder / "nearfield.yaml").write_text("precision: int8-rowwise\n")
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": prompts, "default_prompt_name": "passage"})
    )
    return connect(start_server(http="", models={"prompted": str(folder)}))


def test_prompts_are_put_before_texts(prompted, api):
    expected = {
        text: api.rows(prompted.embed(text, prompt_name="clustering"))[0]
        for text in ("query: cats", "passage: cats", "cats")
    }
    for fields, text in (
        ({"prompt_name": "query"}, "query: cats"),
        ({"input_type": types_pb2.INPUT_TYPE_QUERY}, "query: cats"),
        ({"input_type": types_pb2.INPUT_TYPE_DOCUMENT}, "passage: cats"),
        ({"input_type": types_pb2.INPUT_TYPE_CLUSTERING}, "cats"),
        ({"input_type": types_pb2.INPUT_TYPE_CLASSIFICATION}, "passage: cats"),
        ({}, "passage: cats"),
        ({"prompt_name": "clustering", "input_type": types_pb2.INPUT_TYPE_QUERY}, "cats"),
    ):
        assert np.allclose(api.rows(prompted.embed("cats", **fields))[0], expected[text], atol=1e-6), fields


def test_prompts_don_t_go_with_token_ids(prompted, api):
    failure = prompted.embed([101, 102], prompt_name="query")
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("prompt_name",))
    failure = prompted.embed("a", prompt_name="quer")
    assert "it has: clustering, passage, query" in failure.message


def test_an_empty_text_with_a_prompt_has_a_warning(prompted):
    assert [one.index for one in prompted.embed("a", "", prompt_name="query").warnings] == [1]


SIMILARITY = "EmbedService/Similarity"


def compare(wire, api, sources, targets=(), **fields):
    message = embed_pb2.SimilarityRequest(sources=api.inputs(*sources), targets=api.inputs(*targets), **fields)
    return wire.call(SIMILARITY, message)


@pytest.mark.parametrize("metric", ["UNSPECIFIED", "COSINE", "DOT", "EUCLIDEAN"])
def test_metrics(wire, api, full, metric):
    reply = compare(wire, api, TEXTS[:2], TEXTS, metric=embed_pb2.SimilarityMetric.Value(f"SIMILARITY_METRIC_{metric}"))
    expected = full[:2] @ full.T
    if metric == "EUCLIDEAN":
        expected = -np.sqrt(np.maximum(2 - 2 * expected, 0))
    assert np.allclose(api.rows(reply), expected, atol=1e-3 if metric == "EUCLIDEAN" else 1e-6)
    assert reply.metric == embed_pb2.SimilarityMetric.Value(
        f"SIMILARITY_METRIC_{metric.replace('UNSPECIFIED', 'COSINE')}"
    )


def test_sources_among_themselves(wire, api, full):
    assert np.allclose(api.rows(compare(wire, api, TEXTS)), full @ full.T, atol=1e-6)


def test_bad_inputs_of_either_side_are_named(wire, api):
    long = "x" * 262_145
    for sources, targets, field in (
        ([long], ["a"], "sources[0].text"),
        (["a"], ["a", long], "targets[1].text"),
        (["a"] * 300, ["b"] * 300, "targets"),
        (["a", [99_999]], ["b"], "sources[1].token_ids.ids[0]"),
        (["a"], ["b", [99_999]], "targets[1].token_ids.ids[0]"),
    ):
        failure = compare(wire, api, sources, targets)
        assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", (field,))
