"""Rerank, Classify, EmbedSparse and EmbedMulti: what is refused and why, zero-shot, and the scores of small graphs."""

import json
import shutil

import grpc
import numpy as np
import onnx
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from nearfield.v1 import embed_pb2, embed_pb2_grpc, types_pb2
from nearfield_server.encoder.builtin import builtin_folder

VOCABULARY = 30522
DOCUMENTS = ["a dog barks", "shares fell", "the hound bayed at the moon all night long", "[SEP]", ""]


def scores_graph(labels):
    """Scores that depend on every token, its segment and the number of tokens: sums of a table's rows."""
    table = np.random.default_rng(7).standard_normal((VOCABULARY, labels)).astype(np.float32)
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["found"]),
        helper.make_node("Add", ["attention_mask", "token_type_ids"], ["weights"]),
        helper.make_node("Mul", ["weights", "attention_mask"], ["kept"]),
        helper.make_node("Cast", ["kept"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "last"], ["column"]),
        helper.make_node("Mul", ["found", "column"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axis"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "scores",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", labels])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1]), "axis"),
            numpy_helper.from_array(np.array([2]), "last"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), table


def write(folder, labels, **config):
    folder.mkdir()
    shutil.copy(builtin_folder() / "tokenizer.json", folder)
    content = {
        "architectures": ["BertForSequenceClassification"],
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 64,
    }
    content |= {"id2label": {str(index): label for index, label in enumerate(labels)}}
    (folder / "config.json").write_text(json.dumps(content | config))
    made, table = scores_graph(len(labels))
    onnx.save(made, folder / "model.onnx")
    return table


@pytest.fixture(scope="module")
def tables():
    return {}


@pytest.fixture(scope="module")
def stub(start_server, tmp_path_factory, tables):
    root = tmp_path_factory.mktemp("scoring")
    kinds = {
        "ranker": (["LABEL_0"], {}),
        "moods": (["anger", "fear", "joy"], {}),
        "topics": (["sport", "money"], {"problem_type": "multi_label_classification"}),
        "nli": (["contradiction", "entailment", "neutral"], {}),
    }
    for name, (labels, config) in kinds.items():
        tables[name] = write(root / name, labels, **config)
    models = {"small": "builtin", **{name: str(root / name) for name in kinds}}
    server = start_server(models=models, limits={"max_inputs": 24})
    with grpc.insecure_channel(server.target) as channel:
        yield embed_pb2_grpc.EmbedServiceStub(channel)


def expected(tables, name, tokens):
    weights = 1 + np.array(tokens["type_ids"])
    return (tables[name][tokens["ids"]] * weights[:, None]).sum(axis=0)


@pytest.fixture(scope="module")
def reference():
    tokenizer = Tokenizer.from_file(str(builtin_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(64, strategy="longest_first")

    def encode(first, second=None):
        one = tokenizer.encode(first, second) if second is not None else tokenizer.encode(first)
        return {"ids": one.ids, "type_ids": one.type_ids}

    return encode


def violation(error):
    status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    request = BadRequest()
    assert any(detail.Unpack(request) for detail in status.details)
    return request.field_violations[0]


def refused(call, request, field, text):
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = violation(caught.value)
    assert found.field == field
    assert text in found.description


def test_documents_best_first_with_the_models_own_scores(stub, tables, reference):
    raw = stub.Rerank(embed_pb2.RerankRequest(model="ranker", query="a dog", documents=DOCUMENTS, raw_scores=True))
    due = [expected(tables, "ranker", reference("a dog", document))[0] for document in DOCUMENTS]
    assert [one.index for one in raw.results] == np.argsort(-np.array(due), kind="stable").tolist()
    assert [one.score for one in raw.results] == pytest.approx(sorted(due, reverse=True), abs=1e-4)
    assert list(raw.token_counts) == [len(reference("a dog", document)["ids"]) for document in DOCUMENTS]
    best = stub.Rerank(
        embed_pb2.RerankRequest(model="ranker", query="a dog", documents=DOCUMENTS, top_n=2, return_documents=True)
    )
    assert [one.index for one in best.results] == [one.index for one in raw.results][:2]
    assert [one.document for one in best.results] == [DOCUMENTS[one.index] for one in best.results]
    assert [one.score for one in best.results] == pytest.approx(
        [1 / (1 + np.exp(-one.score)) for one in raw.results[:2]]
    )


def test_the_longer_of_query_and_document_is_cut_and_it_shows(stub, tables, reference):
    long = "the cat sat on the mat " * 40
    request = embed_pb2.RerankRequest(model="ranker", query="a dog", documents=["short", long], raw_scores=True)
    reply = stub.Rerank(request)
    scores = {one.index: one.score for one in reply.results}
    assert scores[1] == pytest.approx(expected(tables, "ranker", reference("a dog", long))[0], abs=1e-3)
    assert (list(reply.truncated), list(reply.token_counts)[1]) == ([False, True], 64)
    request.truncate = types_pb2.TRUNCATE_NONE
    refused(stub.Rerank, request, "documents[1]", "the model takes 64")


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"query": ""}, "query", "must not be empty"),
        ({"documents": []}, "documents", "at least one"),
        ({"documents": ["a"] * 25}, "documents", "at most 24"),
        ({"top_n": 0}, "top_n", "1 or more"),
        ({"truncate": types_pb2.TRUNCATE_START}, "truncate", "START isn't offered"),
        ({"truncate": 99}, "truncate", "no known value"),
        ({"model": "small"}, "model", "no reranker"),
        ({"model": "moods"}, "model", "use Classify"),
        ({"documents": ["a", "b" * 300_000]}, "documents[1]", "300000 bytes"),
    ],
)
def test_what_rerank_refuses(stub, fields, field, text):
    request = {"model": "ranker", "query": "q", "documents": ["a"]} | fields
    refused(stub.Rerank, embed_pb2.RerankRequest(**request), field, text)


def inputs(*texts):
    return [embed_pb2.ClassifyInput(input=types_pb2.Input(text=text)) for text in texts]


def test_a_models_own_labels(stub, tables, reference):
    mixed = inputs("it rains", "good news")
    mixed.append(embed_pb2.ClassifyInput(input=types_pb2.Input(text="a man sleeps"), pair="somebody is awake"))
    mixed.append(embed_pb2.ClassifyInput(input=types_pb2.Input(token_ids=types_pb2.TokenIds(ids=[101, 2175, 102]))))
    reply = stub.Classify(embed_pb2.ClassifyRequest(model="moods", inputs=mixed))
    tokens = [
        reference("it rains"),
        reference("good news"),
        reference("a man sleeps", "somebody is awake"),
        {"ids": [101, 2175, 102], "type_ids": [0, 0, 0]},
    ]
    for result, one in zip(reply.results, tokens, strict=True):
        raw = expected(tables, "moods", one)
        due = np.exp(raw - raw.max()) / np.exp(raw - raw.max()).sum()
        assert [label.score for label in result.labels] == pytest.approx(sorted(due, reverse=True), abs=1e-4)
        assert result.labels[0].label == ["anger", "fear", "joy"][int(np.argmax(due))]
    assert list(reply.token_counts) == [len(one["ids"]) for one in tokens]


def test_several_labels_can_be_right(stub, tables, reference):
    reply = stub.Classify(embed_pb2.ClassifyRequest(model="topics", inputs=inputs("it rains"), top_k=1))
    due = 1 / (1 + np.exp(-expected(tables, "topics", reference("it rains"))))
    assert [(one.index, pytest.approx(one.score, abs=1e-4)) for one in reply.results[0].labels] == [
        (int(np.argmax(due)), due.max())
    ]


@pytest.mark.parametrize("multi_label", [False, True])
def test_zero_shot_by_entailment(stub, tables, reference, multi_label):
    """The arithmetic of transformers' zero-shot pipeline."""
    labels, texts = ["travel", "cooking"], ["we took the train", "add salt"]
    reply = stub.Classify(
        embed_pb2.ClassifyRequest(model="nli", inputs=inputs(*texts), labels=labels, multi_label=multi_label)
    )
    for text, result in zip(texts, reply.results, strict=True):
        raw = np.array([expected(tables, "nli", reference(text, f"This example is {label}.")) for label in labels])
        compared = raw[:, [0, 1]] if multi_label else raw[:, 1][None]
        shares = np.exp(compared - compared.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        due = shares[:, 1] if multi_label else shares[0]
        found = {one.label: one.score for one in result.labels}
        assert [found[label] for label in labels] == pytest.approx(due.tolist(), abs=1e-3)


def test_zero_shot_with_any_encoder(stub):
    texts = ["The striker scored twice in the final.", "Add the onions and fry them until golden."]
    labels = ["football", "cooking", "finance"]
    request = embed_pb2.ClassifyRequest(model="small", inputs=inputs(*texts), labels=labels)
    reply = stub.Classify(request)
    assert [one.labels[0].label for one in reply.results] == ["football", "cooking"]
    for one in reply.results:
        assert sum(label.score for label in one.labels) == pytest.approx(1.0, abs=1e-5)
    similarity = stub.Similarity(
        embed_pb2.SimilarityRequest(
            model="small",
            sources=[types_pb2.Input(text=text) for text in texts],
            targets=[types_pb2.Input(text=f"a text about {label}") for label in labels],
        )
    )
    cosines = np.frombuffer(similarity.scores.data, "<f4").reshape(2, 3)
    request.raw_scores, request.label_template = True, "a text about {}"
    for row, one in zip(cosines, stub.Classify(request).results, strict=True):
        assert [label.score for label in one.labels] == pytest.approx(sorted(row, reverse=True), abs=1e-5)


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"inputs": []}, "inputs", "at least one"),
        ({"inputs": [embed_pb2.ClassifyInput()]}, "inputs[0].input", "set text"),
        ({"labels": ["a", "b", "a"]}, "labels[2]", "stands at labels[0]"),
        ({"labels": ["a", " "]}, "labels[1]", "must not be empty"),
        ({"labels": ["a"], "label_template": "no place"}, "label_template", "must hold {} once"),
        ({"label_template": "a {}"}, "label_template", "goes with labels only"),
        ({"top_k": 0}, "top_k", "1 or more"),
        ({"model": "small"}, "labels", "no labels of its own"),
        ({"labels": ["a", "b"]}, "labels", "none of them is entailment"),
        ({"inputs": [embed_pb2.ClassifyInput(input=types_pb2.Input(image=b"x"))]}, "inputs[0].input.image", "texts"),
        (
            {
                "inputs": [*inputs("a"), embed_pb2.ClassifyInput(input=types_pb2.Input(text="a"), pair="b")],
                "labels": ["c"],
            },
            "inputs[1].pair",
            "doesn't go with labels",
        ),
        (
            {
                "inputs": [
                    embed_pb2.ClassifyInput(input=types_pb2.Input(text="a"), pair="b"),
                    embed_pb2.ClassifyInput(input=types_pb2.Input(token_ids=types_pb2.TokenIds(ids=[40_000]))),
                ]
            },
            "inputs[1].input.token_ids.ids[0]",
            "outside the vocabulary",
        ),
        (
            {"model": "small", "labels": ["a", "b " * 300], "truncate": types_pb2.TRUNCATE_NONE},
            "labels[1].text",
            "the model takes 256",
        ),
        (
            {"model": "nli", "labels": [f"l{one}" for one in range(24)], "inputs": inputs(*"abcdefghijklmnopqrs")},
            "inputs",
            "pairs",
        ),
    ],
)
def test_what_classify_refuses(stub, fields, field, text):
    request = {"model": "moods", "inputs": inputs("a")} | fields
    refused(stub.Classify, embed_pb2.ClassifyRequest(**request), field, text)


@pytest.mark.parametrize("kind", ["EmbedSparse", "EmbedMulti"])
def test_kinds_that_a_model_does_not_give(stub, kind):
    request = {"EmbedSparse": embed_pb2.EmbedSparseRequest, "EmbedMulti": embed_pb2.EmbedMultiRequest}[kind]
    made = request(model="small", inputs=[types_pb2.Input(text="a")])
    refused(getattr(stub, kind), made, "outputs", "it gives: DENSE")
    made.model = "moods"
    refused(getattr(stub, kind), made, "outputs", "it gives: SCORES")


def test_an_image_for_a_model_of_texts(stub):
    made = embed_pb2.EmbedRequest(model="small", inputs=[types_pb2.Input(text="a"), types_pb2.Input(image=b"x")])
    refused(stub.Embed, made, "inputs[1].image", "takes texts only")


def test_scores_are_not_embeddings(stub):
    made = embed_pb2.EmbedRequest(
        model="moods", inputs=[types_pb2.Input(text="a")], outputs=[types_pb2.OUTPUT_KIND_SCORES]
    )
    refused(stub.Embed, made, "outputs", "given by Classify and Rerank")
    del made.outputs[:]
    refused(stub.Embed, made, "outputs", "this model gives no DENSE vectors; it gives: SCORES")
