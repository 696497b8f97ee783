"""Models loaded, unloaded, renamed and watched."""

import grpc
import pytest
from blocking import FAST
from fake_server import make_status, reason, retry_info
from google.rpc import error_details_pb2

import nearfield
from nearfield.v1 import model_pb2


def test_load_and_unload(client, fake):
    assert client.load_model("toy", "7", keep_previous=True).repository_version == "7"
    assert (fake.requests[-1].version, fake.requests[-1].keep_previous) == ("7", True)
    assert client.load_model("toy", unload_first=True).repository_version == "2"
    assert fake.requests[-1].unload_first
    assert client.unload_model("toy", "7").state == "unloaded"
    assert (fake.requests[-1].name, fake.requests[-1].version) == ("toy", "7")


def test_loading_has_more_time_than_other_calls(client, fake):
    client.load_model("toy")
    assert fake.deadlines[-1] > 500
    client.load_model("toy", timeout=5)
    assert fake.deadlines[-1] < 6
    client.load_model("toy", timeout=None)
    assert fake.deadlines[-1] < 11


@pytest.mark.parametrize("call", ["load_model", "unload_model"])
def test_what_may_have_happened_is_not_tried_again(client, fake, call):
    rpc = {"load_model": "LoadModel", "unload_model": "UnloadModel"}[call]
    fake.fail(rpc, make_status(grpc.StatusCode.UNAVAILABLE, "gone", retry_info(0.001)))
    with pytest.raises(nearfield.Unavailable):
        getattr(client, call)("toy")
    assert fake.calls[rpc] == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("NOT_FOUND", nearfield.NotFound),
        ("ALREADY_EXISTS", nearfield.AlreadyExists),
        ("FAILED_PRECONDITION", nearfield.FailedPrecondition),
        ("PERMISSION_DENIED", nearfield.PermissionDenied),
    ],
)
def test_refusals_have_classes_of_their_own(client, fake, code, kind):
    failure = error_details_pb2.PreconditionFailure()
    failure.violations.add(type="MODEL", subject="toy", description="is the default")
    fake.fail("LoadModel", make_status(grpc.StatusCode[code], "no", reason("WHY"), failure))
    with pytest.raises(kind) as caught:
        client.load_model("toy")
    assert caught.value.reason == "WHY"
    assert caught.value.details[1].violations[0].description == "is the default"


def test_limits_are_learned_anew_after_a_load(client, fake):
    client.embed("a")
    client.load_model("toy")
    client.embed("a")
    assert fake.calls["GetModel"] == 2


def test_aliases(client, fake):
    assert client.aliases() == {}
    assert client.set_alias("default", "toy") == {"default": "toy"}
    assert client.set_alias("query@canary", "toy@2") == {"default": "toy", "query@canary": "toy@2"}
    assert client.aliases() == {"default": "toy", "query@canary": "toy@2"}
    assert client.delete_alias("default") == {"query@canary": "toy@2"}
    with pytest.raises(ValueError, match="delete_alias"):
        client.set_alias("query@canary", "")


def test_a_model_tells_what_it_can(client, fake):
    fake.model.MergeFrom(
        model_pb2.Model(
            repository_version="3",
            outputs=[1, 2, 99],
            labels=["yes", "no"],
            matryoshka_dimensions=[256, 128],
            accepts_images=True,
            aliases=["default"],
            device="cuda:0",
            max_query_tokens=32,
            choice="fp16 for cuda",
            limits=model_pb2.Limits(max_image_bytes=7, max_image_pixels=8),
        )
    )
    model = client.model()
    assert (model.repository_version, model.outputs, model.labels) == (
        "3",
        ("dense", "sparse", "unspecified"),
        ("yes", "no"),
    )
    assert (model.matryoshka_dimensions, model.accepts_images, model.aliases) == ((256, 128), True, ("default",))
    assert (model.device, model.max_query_tokens, model.choice) == ("cuda:0", 32, "fp16 for cuda")
    assert (model.limits.max_image_bytes, model.limits.max_image_pixels) == (7, 8)


@pytest.mark.parametrize(("number", "state"), [(6, "unloaded"), (7, "idle")])
def test_models_that_are_not_loaded_are_not_ready(client, fake, number, state):
    fake.model.state = number
    assert (client.model().state, client.model().is_ready) == (state, False)


def test_watch_models(client):
    assert [one.state for one in client.watch_models()] == ["ready", "unloading"]


def test_a_watch_connects_again_and_yields_only_what_changed(client, fake):
    away = make_status(grpc.StatusCode.UNAVAILABLE, "draining", retry_info(0.001))
    fake.watch_script.extend([away, away])
    fake.fail("WatchModels", None, lambda *_: fake.model.state_changed_at.GetCurrentTime())
    assert [one.state for one in client.watch_models()] == ["ready", "unloading"]
    assert fake.calls["WatchModels"] == 3


def test_a_watch_gives_up_after_as_many_attempts_as_other_calls(client, fake):
    fake.fail("WatchModels", None, *[make_status(grpc.StatusCode.UNAVAILABLE, "away")] * 9)
    fake.watch_script.append(make_status(grpc.StatusCode.UNAVAILABLE, "away"))
    watch = client.watch_models()
    assert next(watch).state == "ready"
    with pytest.raises(nearfield.Unavailable, match="away"):
        next(watch)
    assert fake.calls["WatchModels"] == FAST.max_attempts


def test_a_watch_has_one_deadline(client, fake):
    away = make_status(grpc.StatusCode.UNAVAILABLE, "away", retry_info(30))
    fake.watch_script.append(away)
    with pytest.raises(nearfield.Unavailable):
        list(client.watch_models(timeout=5))
    assert fake.deadlines[-1] < 5.1


def test_a_watch_ends_with_other_errors_or_a_close(client, fake):
    watch = client.watch_models()
    next(watch)
    watch.close()
    assert fake.streams_ended.acquire(timeout=5)
    fake.fail("WatchModels", make_status(grpc.StatusCode.NOT_FOUND, "none"))
    with pytest.raises(nearfield.NotFound):
        list(client.watch_models("x"))
    assert fake.calls["WatchModels"] == 2
