"""Requests to plain values: what is refused without looking at a model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.v1 import embed_pb2, types_pb2
from nearfield_server.errors import InvalidInput, TextTooLong
from nearfield_server.rpc import convert, replies
from nearfield_server.types import DType, InputType, Limits, OutputKind, Priority, SimilarityMetric, Truncate

LIMITS = Limits(
    max_inputs=3,
    max_text_bytes=16,
    max_request_bytes=1 << 20,
    max_response_bytes=1 << 20,
    stream_window_inputs=4,
    max_request_tokens=1000,
)


def text(value):
    return types_pb2.Input(text=value)


def ids(*values):
    return types_pb2.Input(token_ids=types_pb2.TokenIds(ids=values))


def test_what_is_about_dense_vectors_is_left_out_of_calls_without():
    message = embed_pb2.EmbedRequest(
        dimensions=5, normalize=False, output_dtype=types_pb2.DTYPE_INT8, outputs=[types_pb2.OUTPUT_KIND_MULTI]
    )
    options = convert.embed_options(message)
    assert (options.outputs, options.dimensions, options.normalize, options.dtype) == (
        {OutputKind.MULTI},
        None,
        None,
        DType.FLOAT32,
    )


def test_inputs_keep_their_order_and_kind():
    first, second = convert.inputs("inputs", [text("a"), ids(5, 6)], LIMITS)
    assert first == "a"
    assert second.tolist() == [5, 6]
    assert second.dtype == np.int64


@pytest.mark.parametrize(
    ("messages", "field", "kind"),
    [
        ([], "inputs", InvalidInput),
        ([text("a")] * 4, "inputs", InvalidInput),
        ([text("a"), types_pb2.Input()], "inputs[1]", InvalidInput),
        ([text("a"), ids()], "inputs[1].token_ids.ids", InvalidInput),
        ([text("a"), text("x" * 17)], "inputs[1].text", TextTooLong),
        ([text("é" * 9)], "inputs[0].text", TextTooLong),
        ([text("\U0001f600" * 5)], "inputs[0].text", TextTooLong),
    ],
)
def test_wrong_inputs_are_named(messages, field, kind):
    with pytest.raises(kind) as caught:
        convert.inputs("inputs", messages, LIMITS)
    assert type(caught.value) is kind
    assert caught.value.violations[0].field == field


def test_too_many_ids():
    message = types_pb2.TokenIds(ids=np.zeros(1_048_577, np.uint32))
    with pytest.raises(InvalidInput, match="1048577 ids; 1 to 1048576 are allowed"):
        convert.sequences("sequences", [message], LIMITS)


@given(st.text(max_size=20))
def test_texts_are_measured_in_bytes(value):
    fits = len(value.encode()) <= LIMITS.max_text_bytes
    try:
        assert convert.inputs("inputs", [text(value)], LIMITS) == (value,)
        assert fits
    except TextTooLong:
        assert not fits


def test_bare_texts_have_a_limit_together():
    limits = Limits(**{name: getattr(LIMITS, name) for name in LIMITS.__slots__} | {"max_inputs": 9})
    assert len(convert.texts("texts", ["é" * 8] * 4, limits)) == 4
    with pytest.raises(TextTooLong, match="68 bytes together; at most 64") as caught:
        convert.texts("texts", ["é" * 8, "x" * 16, "x" * 16, "x" * 16, "four"], limits)
    assert caught.value.violations[0].field == "texts"


@pytest.mark.parametrize("name", ["", "a", "A.b-c_1", "é", "a/b", "../x", "\0", "x" * 256])
def test_names_to_look_up(name):
    assert convert.check_model_name("model", name) == name


@pytest.mark.parametrize("name", ["a\n", "a\rb", 'a"', "\x7f", "\x1b", "x" * 257])
def test_names_that_could_forge_a_line(name):
    with pytest.raises(InvalidInput):
        convert.check_model_name("model", name)


def test_options_left_out():
    found = convert.embed_options(embed_pb2.EmbedRequest())
    assert (found.model, found.input_type, found.prompt_name) == ("", None, "")
    assert (found.truncate, found.dimensions, found.normalize) == (Truncate.END, None, None)
    assert (found.dtype, found.priority, found.special_tokens_as_text) == (DType.FLOAT32, Priority.INTERACTIVE, False)
    assert convert.embed_options(embed_pb2.EmbedStreamOptions(), bulk=True).priority is Priority.BULK


def test_options_given():
    message = embed_pb2.EmbedRequest(
        model="m",
        input_type=types_pb2.INPUT_TYPE_QUERY,
        prompt_name="p",
        truncate=types_pb2.TRUNCATE_NONE,
        dimensions=0,
        normalize=False,
        output_dtype=types_pb2.DTYPE_UBINARY,
        priority=types_pb2.PRIORITY_BULK,
        special_tokens_as_text=True,
    )
    found = convert.embed_options(message)
    assert (found.model, found.input_type, found.prompt_name) == ("m", InputType.QUERY, "p")
    assert (found.truncate, found.dimensions, found.normalize) == (Truncate.NONE, 0, False)
    assert (found.dtype, found.priority, found.special_tokens_as_text) == (DType.UBINARY, Priority.BULK, True)


def test_options_of_a_comparison():
    message = embed_pb2.SimilarityRequest(
        model="m", dimensions=5, source_input_type=types_pb2.INPUT_TYPE_QUERY, target_input_type=99
    )
    found = convert.similarity_options(message, "sources")
    assert (found.model, found.input_type, found.dimensions) == ("m", InputType.QUERY, 5)
    with pytest.raises(InvalidInput, match="target_input_type: 99 is no known value; known: QUERY = 1"):
        convert.similarity_options(message, "targets")
    assert convert.similarity_metric(0) is None
    assert convert.similarity_metric(embed_pb2.SIMILARITY_METRIC_DOT) is SimilarityMetric.DOT
    with pytest.raises(InvalidInput):
        convert.similarity_metric(7)


def test_matrices_are_little_endian_whatever_the_machine():
    message = replies.matrix(np.array([[1.0, 2.0]], ">f4"), DType.FLOAT32)
    assert (message.dtype, message.rows, message.cols) == (types_pb2.DTYPE_FLOAT32, 1, 2)
    assert message.data == b"\0\0\x80\x3f\0\0\0\x40"
