"""Rerank and classify: options, parts, merging, errors."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from fake_server import FakeServer, make_status

import nearfield
from nearfield._convert_models import model_of
from nearfield._scoring_jobs import RerankJob
from nearfield.v1 import embed_pb2


def sent(fake, rpc):
    kind = getattr(embed_pb2, f"{rpc}Request")
    return [one for one in fake.requests if isinstance(one, kind)]


def test_rerank_is_best_first(client):
    ranked = client.rerank("abc", ["xyz", "a", "abc", "ab"])
    assert [(one.index, one.score) for one in ranked] == [(2, 3.0), (3, 2.0), (1, 1.0), (0, 0.0)]
    assert ranked[0] == nearfield.RankedDocument(index=2, score=3.0, token_count=6)


def test_documents_come_back_without_travelling(client, fake):
    ranked = client.rerank("ab", ["x", "ab"], return_documents=True, top_n=1)
    assert [one.document for one in ranked] == ["ab"]
    assert not fake.requests[-1].return_documents
    assert fake.requests[-1].top_n == 1


def test_documents_beyond_the_limit_are_merged_and_ties_keep_their_order(client, fake):
    documents = ["ab" if index % 3 == 0 else "a" if index % 3 == 1 else "z" for index in range(50)]
    ranked = client.rerank("ab", iter(documents))
    assert [one.index for one in ranked] == sorted(range(50), key=lambda index: (index % 3, index))
    assert fake.calls["Rerank"] == 7
    best = client.rerank("ab", documents, top_n=20)
    assert [one.index for one in best] == [one.index for one in ranked[:20]]


def test_the_query_counts_in_every_request(client, fake):
    fake.model.limits.max_inputs = 1000
    client.rerank("q" * 9_000, ["d" * 9_000] * 40)
    assert max(one.ByteSize() for one in sent(fake, "Rerank")) <= 100_000
    assert len(sent(fake, "Rerank")) == 5


def test_a_cut_document_is_told(client):
    ranked = client.rerank("a", ["a", "b" * 501])
    assert [one.truncated for one in ranked] == [False, True]


def test_rerank_options_reach_the_server(client, fake):
    client.rerank(
        "q", ["d"], model="toy", raw_scores=True, truncate="none", priority="bulk", special_tokens_as_text=True
    )
    one = fake.requests[-1]
    assert (one.model, one.query, one.raw_scores, one.truncate, one.priority) == ("toy", "q", True, 1, 2)
    assert one.special_tokens_as_text
    assert not one.HasField("top_n")


def test_nothing_to_rank_is_no_call(client, fake):
    assert client.rerank("q", []) == []
    assert fake.calls["Rerank"] == 0


def test_errors_name_the_callers_document(client, fake):
    documents = [f"{index:03}" for index in range(20)]
    fake.bad_texts["013"] = "no good"
    with pytest.raises(nearfield.InvalidArgument) as caught:
        client.rerank("0", documents)
    assert caught.value.field_violations == (("documents[13]", "no good"),)


def test_wrong_arguments_of_rerank(client, fake):
    with pytest.raises(TypeError, match="documents"):
        client.rerank("q", "one text")
    with pytest.raises(TypeError, match="query is a list"):
        client.rerank(["q"], ["d"])
    with pytest.raises(nearfield.InvalidArgument, match=r"documents\[1\]: a int, not a text"):
        client.rerank("q", ["d", 3])
    with pytest.raises(nearfield.InvalidArgument, match="top_n: 0"):
        client.rerank("q", ["d"], top_n=0)
    assert not fake.calls


@pytest.mark.parametrize("indexes", [[], [0], [0, 0], [0, 7]], ids=str)
def test_a_reply_that_ranks_too_few_is_no_result(indexes):
    job = RerankJob("q", ["a", "b"], {})
    (part,) = job.parts(model_of(FakeServer().model))
    ranked = [embed_pb2.RankedDocument(index=index) for index in indexes]
    reply = embed_pb2.RerankResponse(results=ranked, token_counts=[1, 1], truncated=[False, False])
    with pytest.raises(nearfield.InternalError, match="results for 2 inputs"):
        job.accept(part, reply)


def test_one_failed_part_cancels_the_others(client, fake):
    held, failed = threading.Event(), threading.Event()

    def hold(request, context):
        context.add_callback(held.set)
        failed.set()
        held.wait(10)

    def fail(request, context):
        failed.wait(10)
        return make_status(grpc.StatusCode.FAILED_PRECONDITION, "no")

    fake.fail("Rerank", hold, fail)
    with pytest.raises(nearfield.FailedPrecondition):
        client.rerank("q", ["d"] * 16)
    assert held.wait(5)


def test_closing_ends_a_rerank_in_parts(target, fake, open_client):
    started, held = threading.Semaphore(0), threading.Event()

    def hold(request, context):
        started.release()
        held.wait(10)

    fake.fail("Rerank", *[hold] * 4)
    with ThreadPoolExecutor(1) as pool, open_client(target) as client:
        call = pool.submit(client.rerank, "q", ["d"] * 40)
        assert started.acquire(timeout=5)
        client.close()
        with pytest.raises(nearfield.Cancelled, match="closed"):
            call.result(5)
        held.set()


def test_classify_with_the_models_labels(client, fake):
    fake.model.labels.extend(["a", "b"])
    assert client.classify(["abb", "a"]) == [
        [nearfield.LabelScore(label="b", index=1, score=2.0), nearfield.LabelScore(label="a", index=0, score=1.0)],
        [nearfield.LabelScore(label="a", index=0, score=1.0), nearfield.LabelScore(label="b", index=1, score=0.0)],
    ]


def test_classify_options_reach_the_server(client, fake):
    (labels,) = client.classify(
        "cat", labels=("c", "d"), label_template="about {}", multi_label=True, raw_scores=True, top_k=1
    )
    assert [one.label for one in labels] == ["c"]
    one = fake.requests[-1]
    assert (list(one.labels), one.label_template, one.multi_label) == (["c", "d"], "about {}", True)
    assert (one.raw_scores, one.top_k) == (True, 1)


def test_many_inputs_are_classified_in_parts(client, fake):
    found = client.classify(["a" * index for index in range(30)], labels=["a"])
    assert [labels[0].score for labels in found] == list(range(30))
    assert fake.calls["Classify"] == 4


def test_with_a_cross_encoder_pairs_of_input_and_label_are_counted(client, fake):
    fake.model.outputs.append(4)
    found = client.classify(["a" * index for index in range(10)], labels=["a", "b", "c"])
    assert [labels[0].score for labels in found] == list(range(10))
    assert [len(one.inputs) for one in sent(fake, "Classify")] == [2] * 5


def test_pairs_stay_with_their_inputs(client, fake):
    found = client.classify(["x"] * 20, pairs=["y" * index for index in range(20)], labels=["y"])
    assert [labels[0].score for labels in found] == list(range(20))
    assert client.classify("x", pairs="yy", labels=["y"])[0][0].score == 2
    with pytest.raises(nearfield.InvalidArgument, match="pairs: 1 second texts for 2 inputs"):
        client.classify(["a", "b"], pairs=["c"])
    with pytest.raises(TypeError, match="pairs is a str"):
        client.classify(["a", "b"], pairs="ab")


def test_images_and_tokens_are_classified(client, fake):
    client.classify([nearfield.Image(b"png"), [1, 2]], labels=["a"])
    inputs = [one.input for one in fake.requests[-1].inputs]
    assert (inputs[0].image, list(inputs[1].token_ids.ids)) == (b"png", [1, 2])


def test_wrong_labels(client, fake):
    with pytest.raises(TypeError, match=r"labels is a str; give a list"):
        client.classify(["a"], labels="ab")
    with pytest.raises(nearfield.InvalidArgument, match=r"labels\[1\]: a int"):
        client.classify(["a"], labels=["a", 1])
    with pytest.raises(nearfield.InvalidArgument, match="top_k: 0"):
        client.classify(["a"], top_k=0)
    assert not fake.calls


def test_classifying_nothing(client, fake):
    assert client.classify([]) == []
    assert fake.calls["Classify"] == 0
