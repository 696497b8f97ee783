"""`nearfield search`: what it asks for and prints, against a servicer of our own."""

# ruff: noqa: N802 - names of rpcs
import json
import re
from concurrent.futures import ThreadPoolExecutor

import fake_server
import grpc
import pytest

from nearfield.v1 import model_pb2_grpc, search_pb2, search_pb2_grpc
from nearfield_server.cli import main

TEXTS = {"dogs.md#0": "A dog barks.\nDogs do.", "cats.md#3": "The cat that isn't a Dog."}


class Search(search_pb2_grpc.SearchServiceServicer):
    def __init__(self):
        self.requests = []

    def Search(self, request, context):
        self.requests.append(request)
        if request.collection != "docs":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no collection {request.collection}; did you mean docs?")
        reply = search_pb2.SearchResponse()
        for id_, text in TEXTS.items():
            if "none" in request.filter_expression:
                break
            hit = reply.hits.add(score=0.75, text=text)
            hit.id.text = id_
            hit.payload.fields.update({"source": id_.partition("#")[0], "heading": "Pets"})
            if request.explain:
                hit.scores.dense, hit.scores.dense_rank = 0.5, 1
        return reply


@pytest.fixture
def service():
    return Search()


@pytest.fixture
def run(capsys, service, monkeypatch):
    server = grpc.server(ThreadPoolExecutor(4))
    search_pb2_grpc.add_SearchServiceServicer_to_server(service, server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(fake_server.FakeServer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("NEARFIELD_TARGET", f"127.0.0.1:{port}")

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    yield run
    server.stop(0).wait()


def test_passages_are_ranked(run, service):
    code, out, err = run("search", "dog", "-c", "docs", "--mode", "hybrid", "--filter", "a = 1", "--rerank", "judge")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1. 0.7500  dogs.md: Pets",
        "   A dog barks. Dogs do.",
        "2. 0.7500  cats.md: Pets",
        "   The cat that isn't a Dog.",
    ]
    (request,) = service.requests
    assert (request.query.text, request.top_k, request.filter_expression) == ("dog", 5, "a = 1")
    assert (request.mode, request.rerank.model) == (search_pb2.SEARCH_MODE_HYBRID, "judge")


def test_words_of_the_query_are_highlighted_on_a_terminal(run, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setenv("TERM", "xterm")
    _, out, _ = run("search", "dog a", "-c", "docs")
    assert re.findall(r"\x1b\[1;33m(.*?)\x1b", out) == ["dog", "Dog"]


def test_scores_of_stages(run):
    assert "   dense 0.5, dense_rank 1" in run("search", "dog", "-c", "docs", "--explain")[1].splitlines()


def test_json(run):
    found = json.loads(run("search", "dog", "-c", "docs", "--json", "--explain")[1])
    assert [one["id"] for one in found] == list(TEXTS)
    assert found[0]["payload"] == {"source": "dogs.md", "heading": "Pets"}
    assert found[0]["scores"] == {"dense": 0.5, "dense_rank": 1}


def test_nothing_and_nowhere(run):
    assert run("search", "dog", "-c", "docs", "--filter", "none = 1") == (
        0,
        "",
        "nothing found in docs, with this filter\n",
    )
    code, _, err = run("search", "dog", "-c", "dosc")
    assert code == 1
    assert "did you mean docs?" in err
