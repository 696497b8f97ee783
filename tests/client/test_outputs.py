"""Sparse vectors, vectors of tokens, chunks, and several of them from one call."""

import numpy as np
import pytest
from fake_server import WIDTH, FakeServer

import nearfield
from nearfield._convert_models import model_of
from nearfield._embed_jobs import EmbedJob, MultiJob, SparseJob
from nearfield.v1 import embed_pb2, types_pb2


def test_sparse_vectors(client):
    vectors = client.embed_sparse(["aab", "", "z"])
    assert (len(vectors), vectors.shape) == (3, (3, 1000))
    assert list(vectors) == [{97: 2.0, 98: 1.0}, {}, {122: 1.0}]
    assert vectors[-1] == {122: 1.0}
    assert vectors.indptr.tolist() == [0, 2, 2, 3]
    assert (vectors.indices.dtype, vectors.values.dtype) == (np.int32, np.float32)
    assert [ids.tolist() for ids, _ in vectors.rows()] == [[97, 98], [], [122]]
    assert vectors.token_counts.tolist() == [3, 0, 1]
    assert repr(vectors) == "<SparseVectors 3 x 1,000, 3 weights>"
    with pytest.raises(IndexError, match="there are 3 inputs, none at 3"):
        vectors[3]


def test_sparse_options_reach_the_server(client, fake):
    vectors = client.embed_sparse("aab", max_terms=1, return_terms=True, input_type="query", truncate="none")
    one = fake.requests[-1]
    assert (one.max_terms, one.return_terms, one.input_type, one.truncate) == (1, True, 1, 1)
    assert vectors.terms == ("a",)
    with pytest.raises(nearfield.InvalidArgument, match="max_terms: 0"):
        client.embed_sparse("a", max_terms=0)


def test_terms_are_sorted_by_weight(client):
    vectors = client.embed_sparse(["abb", "c"], return_terms=True)
    assert list(vectors.terms_of(0).items()) == [("b", 2.0), ("a", 1.0)]
    with pytest.raises(ValueError, match="return_terms=True"):
        client.embed_sparse(["a"]).terms_of(0)


def test_sparse_vectors_in_parts(client, fake):
    fake.model.vocab_size = 200
    texts = ["x" * (index % 5) + "y" for index in range(50)]
    vectors = client.embed_sparse(texts, return_terms=True)
    assert fake.calls["EmbedSparse"] == 7
    assert [vectors[index].get(120, 0) for index in range(50)] == [index % 5 for index in range(50)]
    assert len(vectors.terms) == len(vectors.values) == len(vectors.indices)


def test_sparse_parts_fit_the_reply(client, fake):
    fake.model.limits.max_inputs = 1000
    client.embed_sparse(["x"] * 40)
    # 1,000 weights of 8 bytes each at most, in 100,000 bytes.
    assert max(len(one.inputs) for one in fake.requests if isinstance(one, embed_pb2.EmbedSparseRequest)) == 12
    client.embed_sparse(["x"] * 40, max_terms=10)
    assert len(fake.requests[-1].inputs) == 40


def test_scipy_takes_sparse_vectors(client):
    pytest.importorskip("scipy")
    matrix = client.embed_sparse(["aab", "", "z"]).to_scipy()
    assert matrix.shape == (3, 1000)
    assert matrix[0, 97] == 2
    assert (matrix @ matrix.T).toarray().tolist() == [[5, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_scipy_that_is_not_there(client, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        client.embed_sparse(["a"]).to_scipy()


def test_vectors_of_tokens(client):
    vectors = client.embed_multi(["ab", "c"])
    assert (len(vectors), vectors.vectors.shape) == (2, (3, WIDTH))
    assert vectors.offsets.tolist() == [0, 2, 3]
    assert vectors[0][:, 0].tolist() == [97, 98]
    assert [len(one) for one in vectors] == [2, 1]
    assert vectors.token_ids.tolist() == [97, 98, 99]
    assert vectors.token_counts.tolist() == [4, 3]
    assert repr(vectors) == "<MultiVectors 2 inputs, 3 x 4 float32>"


def test_multi_options_reach_the_server(client, fake):
    vectors = client.embed_multi(["ab"], input_type="query", dimensions=3, normalize=True, output_dtype="float16")
    one = fake.requests[-1]
    assert (one.input_type, one.dimensions, one.normalize, one.output_dtype) == (1, 3, True, 2)
    assert (vectors.vectors.dtype, vectors.vectors.shape) == (np.float16, (2, 3))


def test_vectors_of_tokens_in_parts(client, fake):
    texts = ["x" * (1 + index % 7) for index in range(50)]
    vectors = client.embed_multi(texts)
    assert fake.calls["EmbedMulti"] == 7
    assert [len(one) for one in vectors] == [len(text) for text in texts]


def test_a_large_reply_of_tokens_is_asked_for_in_parts(client, fake):
    fake.model.limits.max_inputs = 1000
    fake.model.max_tokens = 10_000
    client.embed_multi(["x" * 1_000] * 20)
    # 20 bytes a token in 100,000.
    assert max(len(one.inputs) for one in fake.requests if isinstance(one, embed_pb2.EmbedMultiRequest)) <= 4


def multi(*inputs):
    sizes = [len(one) for one in inputs]
    return nearfield.MultiVectors(
        vectors=np.array([row for one in inputs for row in one], np.float32).reshape(-1, 2),
        offsets=np.cumsum([0, *sizes]),
        token_ids=np.zeros(sum(sizes), np.int32),
        token_counts=np.array(sizes),
        truncated=np.zeros(len(sizes), bool),
        model="m",
    )


def test_maxsim():
    queries = multi([[1, 0], [0, 1]], [[1, 1]])
    documents = multi([[1, 0], [0.5, 0.5]], [[0, 2]], [])
    assert queries.maxsim(documents).tolist() == [[1.5, 2.0, 0.0], [1.0, 2.0, 0.0]]
    assert queries.maxsim(documents).dtype == np.float32


def test_maxsim_of_quantised_vectors(client):
    integers, floats = client.embed_multi(["ab", "c"], output_dtype="int8"), client.embed_multi(["ab", "c"])
    assert integers.quantization == nearfield.Quantization(scale=0.5, zero_point=0)
    assert integers.maxsim(integers).tolist() == (floats.maxsim(floats) / 4).tolist()


def test_maxsim_of_what_does_not_compare(client):
    packed = client.embed_multi(["a"], output_dtype="ubinary")
    floats, narrow = client.embed_multi(["a"]), client.embed_multi(["a"], dimensions=2)
    with pytest.raises(ValueError, match="another output_dtype than binary or ubinary"):
        packed.maxsim(packed)
    with pytest.raises(ValueError, match="of 4 and of 2"):
        floats.maxsim(narrow)


def test_several_outputs_of_one_call(client, fake):
    result = client.embed(["ab", "c"], outputs=("dense", "sparse", "multi"))
    assert result.dense.shape == (2, WIDTH)
    assert list(result.sparse) == [{97: 1.0, 98: 1.0}, {99: 1.0}]
    assert [len(one) for one in result.multi] == [2, 1]
    assert fake.calls["Embed"] == 1
    assert list(fake.requests[-1].outputs) == [1, 2, 3]


def test_outputs_without_the_dense_vectors(client):
    result = client.embed([f"{index}" for index in range(20)], outputs=["sparse"])
    assert (result.dense, result.multi, len(result.sparse)) == (None, None, 20)
    details = client.embed_with_details("ab", outputs=["multi"])
    assert details.embeddings.shape == (1, 0)
    assert details.multi[0].shape == (2, WIDTH)
    assert details.token_counts.tolist() == [4]


@pytest.mark.parametrize("outputs", [("dense",), ("dense", "sparse", "multi")])
def test_no_inputs_have_empty_outputs(client, outputs):
    result = client.embed([], outputs=outputs)
    assert result.dense.shape == (0, WIDTH)
    if "multi" in outputs:
        assert (result.sparse.shape, result.multi.vectors.shape) == ((0, 1000), (0, WIDTH))


def test_no_inputs_have_no_vectors_of_their_own(client):
    assert client.embed_sparse([], return_terms=True).terms == ()
    assert list(client.embed_multi([], dimensions=2)) == []


def test_wrong_outputs(client):
    with pytest.raises(TypeError, match=r"give a tuple, such as \('dense',\)"):
        client.embed(["a"], outputs="dense")
    with pytest.raises(ValueError, match="outputs is 'thick'; known: 'dense', 'sparse', 'multi', 'scores'"):
        client.embed(["a"], outputs=["thick"])


def test_chunks(client, fake):
    texts = ["abcdefg", "hi"]
    result = client.embed(texts, chunking=nearfield.Chunking(max_tokens=3, overlap_tokens=1))
    assert [(one.input_index, one.start, one.end) for one in result.chunks] == [
        (0, 0, 3),
        (0, 3, 6),
        (0, 6, 7),
        (1, 0, 2),
    ]
    assert [result.text_of(chunk, texts) for chunk in result.chunks] == ["abc", "def", "g", "hi"]
    assert result.vectors[:, 0].tolist() == [3, 3, 1, 2]
    assert np.asarray(result).shape == (4, WIDTH)
    assert len(result) == 4
    assert [one.start for one in result.of(1)] == [0]
    sent = fake.requests[-1].chunking
    assert (sent.max_tokens, sent.overlap_tokens, sent.pooling) == (3, 1, 1)


def test_chunks_of_a_single_text(client):
    result = client.embed("abcd", chunking=nearfield.Chunking(max_tokens=3))
    assert result.vectors.shape == (2, WIDTH)
    assert result.text_of(result.chunks[1], "abcd") == "d"


def test_pooled_chunks_are_one_row_per_input(client):
    result = client.embed(["abcdefg", "hi"], chunking=nearfield.Chunking(max_tokens=3, pooling="mean"))
    assert (result.vectors.shape, len(result.chunks)) == ((2, WIDTH), 4)


def test_chunks_in_parts_count_the_callers_inputs(client, fake):
    texts = [chr(97 + index % 26) * (index % 9 + 1) for index in range(30)]
    details = client.embed_with_details(texts, chunking=nearfield.Chunking(max_tokens=4))
    assert fake.calls["Embed"] == 4
    owners = [one.input_index for one in details.chunks]
    assert owners == sorted(owners)
    assert set(owners) == set(range(30))
    assert len(details.embeddings) == len(details.token_counts) == len(details.chunks)
    assert [texts[one.input_index][one.start] for one in details.chunks] == [
        chr(97 + one.input_index % 26) for one in details.chunks
    ]


def test_a_long_divided_text_counts_with_all_its_tokens(client, fake):
    fake.model.limits.max_request_tokens = 10_000
    client.embed(["x" * 3_000] * 6, chunking=nearfield.Chunking())
    assert fake.calls["Embed"] == 6
    fake.calls.clear()
    client.embed(["x" * 3_000] * 6)
    assert fake.calls["Embed"] == 1


@pytest.mark.parametrize(
    ("chunking", "error", "words"),
    [
        (512, TypeError, "give a nearfield.Chunking"),
        (nearfield.Chunking(max_tokens=-1), nearfield.InvalidArgument, "chunking.max_tokens: -1"),
        (nearfield.Chunking(pooling="sum"), ValueError, "chunking.pooling is 'sum'; known: 'none', 'mean'"),
    ],
)
def test_wrong_chunking(client, chunking, error, words):
    with pytest.raises(error, match=words):
        client.embed(["a"], chunking=chunking)


@pytest.mark.parametrize("owners", [[], [0], [1, 0], [0, 1, 2]], ids=str)
def test_chunks_that_do_not_fit_are_no_result(owners):
    job = EmbedJob(["a", "b"], {"chunking": nearfield.Chunking()})
    (part,) = job.parts(model_of(FakeServer().model))
    reply = embed_pb2.EmbedResponse(chunks=[types_pb2.Chunk(input_index=one) for one in owners])
    with pytest.raises(nearfield.InternalError, match="chunks don't fit the request of 2 inputs"):
        job.accept(part, reply)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"row_counts": [2, 0]}, "sparse matrix doesn't fit"),
        ({"row_counts": [3]}, "sparse matrix doesn't fit"),
        ({"cols": 5}, "ids beyond its vocabulary"),
        ({"cols": 2**32 - 1}, "ids beyond its vocabulary"),
    ],
    ids=str,
)
def test_sparse_replies_that_do_not_fit(client, monkeypatch, change, words):
    import fake_server  # noqa: PLC0415 - its own name, to be replaced

    made = fake_server.sparse_matrix

    def other(*arguments):
        matrix = made(*arguments)
        for name, value in change.items():
            if isinstance(value, list):
                matrix.ClearField(name)
                getattr(matrix, name).extend(value)
            else:
                setattr(matrix, name, value)
        return matrix

    monkeypatch.setattr(fake_server, "sparse_matrix", other)
    with pytest.raises(nearfield.InternalError, match=words):
        client.embed_sparse(["ab"])


def test_cached_rows_are_counted_over_the_parts(client):
    assert client.embed_with_details(["cached"] * 20).cached_rows == 20


def test_streams_give_every_output(client):
    results = list(client.embed_stream(["ab", "c"], outputs=("dense", "sparse", "multi"), ordered=True))
    assert [one.sparse[0] for one in results] == [{97: 1.0, 98: 1.0}, {99: 1.0}]
    assert [one.multi[0].shape for one in results] == [(2, WIDTH), (1, WIDTH)]
    assert [one.embedding.shape for one in results] == [(WIDTH,), (WIDTH,)]
    assert next(iter(client.embed_stream(["ab"], outputs=("sparse",)))).embedding is None


def test_streams_give_chunks(client):
    texts = [chr(97 + index % 26) * (index % 9 + 1) for index in range(100)]
    for result in client.embed_stream(texts, chunking=nearfield.Chunking(max_tokens=4)):
        text = texts[result.index]
        assert {one.input_index for one in result.chunks} == {result.index}
        assert [text[one.start : one.end] for one in result.chunks] == [
            text[at : at + 4] for at in range(0, len(text), 4)
        ]
        assert result.embedding[:, 0].tolist() == [one.end - one.start for one in result.chunks]
        assert result.token_count == len(text) + 2 * len(result.chunks)
    (pooled,) = client.embed_stream(["abcdefg"], chunking=nearfield.Chunking(max_tokens=3, pooling="mean"))
    assert (pooled.embedding.shape, len(pooled.chunks)) == ((WIDTH,), 3)


def test_many_parts_of_many_vectors(client, fake):
    fake.model.limits.max_inputs = 100
    fake.model.limits.max_response_bytes = 4_000_000
    texts = [chr(97 + index % 26) * (index % 90 + 1) for index in range(3_000)]
    vectors = client.embed_multi(texts)
    assert np.diff(vectors.offsets).tolist() == [len(text) for text in texts]
    assert (vectors.vectors[vectors.offsets[:-1], 0] == [ord(text[0]) for text in texts]).all()
    weights = client.embed_sparse(texts)
    assert weights.values.tolist() == [len(text) for text in texts]


@pytest.mark.parametrize(
    ("job", "reply", "words"),
    [
        (
            SparseJob(["a"], {"return_terms": True}),
            embed_pb2.EmbedSparseResponse(embeddings=types_pb2.SparseMatrix(row_counts=[0]), terms=["a"]),
            "1 terms for 0 weights",
        ),
        (MultiJob(["a"], {}), embed_pb2.EmbedMultiResponse(), "vectors of tokens don't fit"),
        (
            MultiJob(["a"], {}),
            embed_pb2.EmbedMultiResponse(
                embeddings=types_pb2.MultiMatrix(row_counts=[0], vectors=types_pb2.Matrix(dtype=1)), token_counts=[1]
            ),
            "doesn't fit the request of 1 inputs",
        ),
    ],
    ids=["terms", "rows", "facts"],
)
def test_replies_that_do_not_fit(job, reply, words):
    (part,) = job.parts(model_of(FakeServer().model))
    with pytest.raises(nearfield.InternalError, match=words):
        job.accept(part, reply)
