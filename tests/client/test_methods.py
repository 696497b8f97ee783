"""The other calls: tokens, models, health."""

import grpc
import numpy as np
import pytest
from fake_server import make_status

import nearfield


def test_tokenize_in_parts(client, fake):
    tokens = client.tokenize(["ab"] * 20)
    assert len(tokens) == 20
    assert tokens[0] == nearfield.TokenizedText(ids=(97, 98), tokens=("a", "b"), starts=(0, 1), ends=(1, 2))
    assert fake.calls["Tokenize"] == 3


def test_tokenize_stays_under_what_whole_texts_may_cost(client, fake):
    client.tokenize(["y" * 3_000] * 8)
    assert max(sum(map(len, one.texts)) for one in fake.requests if hasattr(one, "texts")) <= 10_000


def test_tokenize_options(client, fake):
    client.tokenize("ab", add_special_tokens=False, prompt_name="query", special_tokens_as_text=True)
    sent = fake.requests[-1]
    assert (sent.add_special_tokens, sent.HasField("add_special_tokens")) == (False, True)
    assert (sent.prompt_name, sent.special_tokens_as_text) == ("query", True)


def test_detokenize(client):
    assert client.detokenize([[97, 98], np.array([99])]) == ["ab", "c"]
    assert client.detokenize([]) == []
    with pytest.raises(nearfield.InvalidArgument, match=r"sequences\[0\]"):
        client.detokenize(["text"])


def test_wrong_texts_are_named(client):
    with pytest.raises(nearfield.InvalidArgument, match=r"texts\[1\]: a int"):
        client.tokenize(["a", 5])


def test_models(client):
    (model,) = client.models()
    assert (model.name, model.state, model.is_ready, model.is_default) == ("toy", "ready", True, True)
    assert (model.dimensions, model.pooling, model.similarity) == (4, "mean", "cosine")
    assert model.prompts == {"query": "query: "}
    assert model.limits.max_inputs == 8
    assert client.model("toy") == client.model() == model


def test_an_unknown_model(client):
    with pytest.raises(nearfield.NotFound, match="did you mean toy") as caught:
        client.embed(["a"], model="tyo")
    assert caught.value.reason == "MODEL_NOT_FOUND"
    assert caught.value.details[1].resource_name == "tyo"


def test_states_unknown_here_are_unspecified(client, fake):
    fake.model.state = 77
    assert client.model().state == "unspecified"


def test_a_loading_model_is_asked_for_again(client, fake):
    fake.model.state, fake.model.dimensions = 1, 0
    with pytest.raises(nearfield.Unavailable, match="toy is loading"):
        client.embed([])
    fake.model.state, fake.model.dimensions = 2, 4
    assert client.embed([]).shape == (0, 4)


@pytest.mark.parametrize("status", ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"])
def test_health(client, fake, status):
    fake.health = status
    assert client.health() == status
    assert fake.requests[-1] == b""


def test_health_of_a_service(client, fake):
    name = "nearfield.v1." + "x" * 200
    client.health(name)
    assert fake.requests[-1] == b"\x0a\xd5\x01" + name.encode()


def test_health_messages_are_those_of_the_real_package(client):
    health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
    from nearfield._methods import decode_health, encode_health  # noqa: PLC0415

    for name in ("", "a", "é" * 100):
        assert health_pb2.HealthCheckRequest.FromString(encode_health(name)).service == name
    for number, name in enumerate(["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]):
        assert decode_health(health_pb2.HealthCheckResponse(status=number).SerializeToString()) == name
    with pytest.raises(nearfield.InternalError):
        decode_health(b"\x10\x01")


def test_wait_ready_asks_until_it_is(client, fake):
    fake.health = "NOT_SERVING"

    def turn(request, context):
        fake.health = "SERVING"

    fake.fail("Check", make_status(grpc.StatusCode.UNAVAILABLE, "not yet"), None, turn)
    client.wait_ready(5)
    assert fake.calls["Check"] == 3


def test_wait_ready_gives_up(client, fake):
    fake.health = "NOT_SERVING"
    with pytest.raises(nearfield.DeadlineExceeded, match=r"wasn't ready within 0\.03 s"):
        client.wait_ready(0.03)


def test_wait_ready_does_not_wait_for_what_never_comes(client, fake):
    fake.fail("Check", make_status(grpc.StatusCode.UNAUTHENTICATED, "who?"))
    with pytest.raises(nearfield.Unauthenticated):
        client.wait_ready(5)
