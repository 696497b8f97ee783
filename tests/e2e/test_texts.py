"""Texts of every kind: embedded as the reference does, or refused by name."""

import time

import numpy as np
import pytest

from nearfield.v1 import embed_pb2, types_pb2

EMPTY = ["", " ", " \n\t ", "\u200b\u200d", "\0\1", "\ufeff"]
TRUNCATE = {"NONE": types_pb2.TRUNCATE_NONE, "START": types_pb2.TRUNCATE_START, "END": types_pb2.TRUNCATE_END}


def tokenize(wire, *texts, **fields):
    return wire.call("EmbedService/Tokenize", embed_pb2.TokenizeRequest(texts=texts, **fields))


@pytest.mark.parametrize("text", EMPTY)
def test_empty_texts_give_the_vector_of_the_special_tokens_and_a_warning(wire, api, golden, text):
    reply = wire.embed("before", text, "after")
    assert [(one.index, one.reason) for one in reply.warnings] == [(1, embed_pb2.INPUT_WARNING_REASON_NO_TOKENS)]
    assert list(reply.token_counts)[1] == 2
    row = api.rows(reply)[1]
    assert np.allclose(row, api.rows(wire.embed([101, 102]))[0], atol=1e-6)
    assert row @ golden.rows[golden.texts.index("")] >= 0.985


def test_texts_with_tokens_have_no_warnings(wire):
    assert not wire.embed("a", "!", [2000]).warnings


@pytest.mark.parametrize(
    "text",
    [
        "nul\0inside",
        "bell\a and \x1b[31mescape",
        "שלום עולם \u202eoverride\u202c",
        "👩\u200d👩\u200d👧\u200d👦 family",
        "e\u0301 combining \u0301\u0302\u0303",
        "zal\u0336\u0337\u0338go",
        "\U000e0041tag",
        "\ufffe noncharacter \U0010ffff",
        "unassigned \u0378",
    ],
)
def test_odd_characters_give_the_tokens_of_their_cleaned_text(wire, api, text):
    seen = tokenize(wire, text).texts[0]
    assert np.allclose(api.rows(wire.embed(text)), api.rows(wire.embed(list(seen.ids))), atol=1e-6)
    assert len(seen.ids) == len(seen.tokens) == len(seen.starts) == len(seen.ends)
    assert all(start <= end <= len(text) for start, end in zip(seen.starts, seen.ends, strict=True))


def test_composed_and_decomposed_letters_are_alike(wire, api):
    composed, decomposed = api.rows(wire.embed("caf\u00e9", "cafe\u0301"))
    assert np.allclose(composed, decomposed, atol=1e-6)


@pytest.mark.slow
def test_edge_cases_equal_the_reference_rows(wire, api, golden):
    picked = [index for index, text in enumerate(golden.texts) if not text.isascii() or len(text) < 4]
    assert len(picked) > 20
    got = api.rows(wire.embed(*(golden.texts[index] for index in picked)))
    assert ((got * golden.rows[picked]).sum(axis=1) >= 0.985).all()


def test_special_tokens_are_parsed_or_text(wire, api):
    text = "[CLS] and [SEP] and [MASK]"
    parsed, plain = (wire.embed(text, special_tokens_as_text=one) for one in (False, True))
    assert parsed.token_counts[0] == 7
    assert plain.token_counts[0] > 7
    assert api.rows(parsed)[0] @ api.rows(plain)[0] < 0.99
    tokens = tokenize(wire, "[SEP]", special_tokens_as_text=True).texts[0]
    assert list(tokens.tokens) == ["[CLS]", "[", "sep", "]", "[SEP]"]


@pytest.fixture(scope="module")
def generous(start_server, connect):
    limits = {"max_text_bytes": 4 << 20, "max_request_bytes": 12 << 20}
    return connect(start_server(http="", limits=limits))


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["a ", "字", "!", "the quick brown fox "])
def test_megabytes_of_text_cost_little(generous, unit):
    text = unit * (3_900_000 // len(unit.encode()))
    started = time.process_time()
    reply = generous.embed(text)
    assert time.process_time() - started < 0.5  # 6 s when all of it is tokenised
    assert list(reply.truncated) == [True]
    assert list(reply.token_counts) == [256]


def test_a_text_over_the_limit_is_named(wire, api):
    for text in ("x" * 262_145, "é" * 131_073, "字" * (10 << 18)):
        failure = wire.embed("fine", text)
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "TEXT_TOO_LONG")
        assert failure.fields == ("inputs[1].text",)
        assert failure.metadata == {"limit": "262144", "bytes": str(len(text.encode()))}
    assert not isinstance(wire.embed("é" * 131_072), api.Failure)


@pytest.mark.slow
def test_a_text_of_10_mb_is_refused_at_once(wire):
    started = time.process_time()
    assert wire.embed("word " * 2_000_000).code == "INVALID_ARGUMENT"
    assert time.process_time() - started < 0.5


def test_texts_to_tokenise_have_a_limit_together(wire):
    failure = tokenize(wire, *["a " * 120_000] * 5)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("texts",))
    failure = tokenize(wire, "fine", "x" * 262_145)
    assert failure.fields == ("texts[1]",)


def test_truncation_off_tells_count_and_limit(wire):
    failure = wire.embed("short", "word " * 300, truncate=TRUNCATE["NONE"])
    assert (failure.code, failure.reason, failure.fields) == ("INVALID_ARGUMENT", "TEXT_TOO_LONG", ("inputs[1].text",))
    assert failure.metadata == {"tokens": "302", "limit": "256"}
    assert "302" in failure.message
    assert "256" in failure.message


def test_truncation_at_either_end(wire, api):
    numbers = " ".join(["one two three four five"] * 100)
    ids = list(tokenize(wire, numbers, add_special_tokens=False).texts[0].ids)
    for truncate, kept in (("END", ids[:254]), ("START", ids[-254:])):
        reply = wire.embed(numbers, [101, *ids, 102], truncate=TRUNCATE[truncate])
        assert list(reply.truncated) == [True, True]
        assert list(reply.token_counts) == [256, 256]
        expected = api.rows(wire.embed([101, *kept, 102]))
        assert np.allclose(api.rows(reply), expected, atol=1e-6)


def test_as_many_inputs_as_allowed_and_one_more(wire, api):
    assert api.rows(wire.embed(*["a"] * 512)).shape == (512, 384)
    failure = wire.embed(*["a"] * 513)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("inputs",))
    assert failure.metadata == {"limit": "512", "count": "513"}


@pytest.mark.slow
def test_a_million_empty_texts(wire):
    message = b"\x12\x02\x0a\x00" * 1_000_000
    assert wire.call("EmbedService/Embed", message).metadata == {"limit": "512", "count": "1000000"}


@pytest.mark.slow
def test_one_long_text_among_short_ones_costs_little_more(wire):
    def seconds(*texts):
        started = time.process_time()
        assert wire.embed(*texts).model
        return time.process_time() - started

    short, long = ["a short text"] * 255, "word " * 300
    apart = min(seconds(*short) + seconds(long) for _ in range(3))
    together = min(seconds(*short, long) for _ in range(3))
    assert together <= 2 * apart


def test_one_bad_input_fails_the_call_by_its_index(wire):
    failure = wire.embed(*["a"] * 17, [99_999], *["b"] * 10)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("inputs[17].token_ids.ids[0]",))
    assert "0 to 30521" in failure.message


def test_token_ids_may_not_be_none(wire):
    failure = wire.embed("a", [])
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("inputs[1].token_ids.ids",))


def test_tokens_and_back(wire):
    seen = tokenize(wire, "Unbelievable, naïve 🚀 plan", "second")
    first = seen.texts[0]
    assert list(first.tokens) == ["[CLS]", "unbelievable", ",", "naive", "[UNK]", "plan", "[SEP]"]
    assert list(zip(first.starts, first.ends, strict=True))[1:-1] == [(0, 12), (12, 13), (14, 19), (20, 21), (22, 26)]
    sequences = [types_pb2.TokenIds(ids=one.ids) for one in seen.texts]
    for keep, expected in ((False, ["unbelievable, naive plan", "second"]), (True, None)):
        request = embed_pb2.DetokenizeRequest(sequences=sequences, keep_special_tokens=keep)
        texts = list(wire.call("EmbedService/Detokenize", request).texts)
        assert texts == (expected or ["[CLS] unbelievable, naive [UNK] plan [SEP]", "[CLS] second [SEP]"])


@pytest.mark.parametrize("ids", [[30522], [4_294_967_295], []])
def test_ids_that_are_no_tokens(wire, ids):
    request = embed_pb2.DetokenizeRequest(sequences=[types_pb2.TokenIds(ids=[1]), types_pb2.TokenIds(ids=ids)])
    failure = wire.call("EmbedService/Detokenize", request)
    assert failure.code == "INVALID_ARGUMENT"
    assert failure.fields[0].startswith("sequences[1].ids")
