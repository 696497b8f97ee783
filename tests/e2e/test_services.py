"""What stands beside Embed: health, reflection, channelz, models, request ids."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from nearfield.v1 import model_pb2

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
NAMES = [
    "",
    "liveness",
    "nearfield.v1.EmbedService",
    "nearfield.v1.ModelService",
    "nearfield.v1.SearchService",
    "nearfield.v1.ClusterService",
    "models/all-MiniLM-L6-v2",
]


@pytest.fixture(scope="module")
def health(wire):
    return health_pb2_grpc.HealthStub(wire.channel)


@pytest.mark.parametrize("name", NAMES)
def test_health_of_each_name(health, name):
    assert health.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING


def test_health_of_all(health):
    statuses = health.List(health_pb2.HealthListRequest()).statuses
    assert {name: one.status for name, one in statuses.items()} == dict.fromkeys(NAMES, SERVING)


def test_health_of_unknown_names(health):
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="nothing"))
    assert caught.value.code().name == "NOT_FOUND"
    watch = health.Watch(health_pb2.HealthCheckRequest(service="nothing"), timeout=10)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_health_watchers_see_the_drain(start_server, connect, gate):
    running = start_server(gate().load, http="")
    stub = health_pb2_grpc.HealthStub(connect(running).channel)
    watches = {
        name: stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=30) for name in (*NAMES, "nothing")
    }
    first = {name: next(watch).status for name, watch in watches.items()}
    assert first == dict.fromkeys(NAMES, SERVING) | {"nothing": health_pb2.HealthCheckResponse.SERVICE_UNKNOWN}
    running.loop.call_soon_threadsafe(running.server.registry.drain)
    for name in NAMES:
        if name != "liveness":
            assert next(watches[name]).status == NOT_SERVING
    states = {name: one.status for name, one in stub.List(health_pb2.HealthListRequest()).statuses.items()}
    assert states == dict.fromkeys(NAMES, NOT_SERVING) | {"liveness": SERVING}
    for watch in watches.values():
        watch.cancel()


def reflect(wire, version, **question):
    call = wire.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    (reply,) = call(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=10)
    return reply


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(wire, version):
    services = {one.name for one in reflect(wire, version, list_services="").list_services_response.service}
    assert services == {
        "nearfield.v1.EmbedService",
        "nearfield.v1.ModelService",
        "nearfield.v1.SearchService",
        "nearfield.v1.ClusterService",
        "google.longrunning.Operations",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    reply = reflect(wire, version, file_containing_symbol="nearfield.v1.EmbedService")
    files = [FileDescriptorProto.FromString(one) for one in reply.file_descriptor_response.file_descriptor_proto]
    assert "nearfield/v1/embed.proto" in {one.name for one in files}
    assert reflect(wire, version, file_containing_symbol="no.such.Thing").error_response.error_code == 5


def test_reflection_is_off_when_told_and_channelz_on(start_server, connect, gate):
    wire = connect(start_server(gate().load, http="", reflection="off", channelz=True))
    for version in ("v1", "v1alpha"):
        with pytest.raises(grpc.RpcError) as caught:
            reflect(wire, version, list_services="")
        assert caught.value.code().name == "UNIMPLEMENTED"
    stub = channelz_pb2_grpc.ChannelzStub(wire.channel)
    assert len(stub.GetServers(channelz_pb2.GetServersRequest(), timeout=10).server) >= 1


def test_channelz_is_off_by_default(wire):
    with pytest.raises(grpc.RpcError) as caught:
        channelz_pb2_grpc.ChannelzStub(wire.channel).GetServers(channelz_pb2.GetServersRequest(), timeout=10)
    assert caught.value.code().name == "UNIMPLEMENTED"


def test_a_model_tells_what_a_client_needs(wire):
    (model,) = wire.call("ModelService/ListModels", b"").models
    assert (model.name, model.is_default, model.dimensions, model.max_tokens) == ("all-MiniLM-L6-v2", True, 384, 256)
    assert (model.vocab_size, model.pooling, model.normalize) == (30522, model_pb2.POOLING_MEAN, True)
    assert (model.precision, model.execution_provider) == ("int8-rowwise", "CPUExecutionProvider")
    assert (model.limits.max_inputs, model.limits.max_text_bytes) == (512, 262144)
    assert (model.license, len(model.sha256), model.sha256[:12]) == ("Apache-2.0", 64, model.version)
    assert model.raw_vectors_available
    assert model.batch_token_budget > 0
    for name in ("", model.name):
        reply = wire.call("ModelService/GetModel", model_pb2.GetModelRequest(name=name))
        assert reply.model == model


def test_unknown_models_are_not_found(wire):
    failure = wire.call("ModelService/GetModel", model_pb2.GetModelRequest(name="all-MiniLM-L6-v3"))
    assert (failure.code, failure.resource) == ("NOT_FOUND", "all-MiniLM-L6-v3")
    assert "did you mean all-MiniLM-L6-v2?" in failure.message


def watch(wire, name, **options):
    call = wire.channel.unary_stream(
        "/nearfield.v1.ModelService/WatchModels",
        model_pb2.WatchModelsRequest.SerializeToString,
        model_pb2.WatchModelsResponse.FromString,
    )
    return call(model_pb2.WatchModelsRequest(name=name), **({"timeout": 10} | options))


@pytest.mark.parametrize("name", ["", "all-MiniLM-L6-v2"])
def test_watchers_first_see_what_is(wire, name):
    call = watch(wire, name)
    assert next(call).model.state == model_pb2.MODEL_STATE_READY
    call.cancel()


def test_watching_an_unknown_model(wire):
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(wire, "nothing"))
    assert caught.value.code().name == "NOT_FOUND"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_X", True), ("a b", False), ("x" * 65, False), ("<script>", False)]
)
def test_request_ids_come_back(wire, api, given, kept):
    for text, expected in (("fine", "OK"), ([99_999], "INVALID_ARGUMENT")):
        stub = wire.channel.unary_unary("/nearfield.v1.EmbedService/Embed")
        data = api.request(text).SerializeToString()
        future = stub.future(data, metadata=[("x-request-id", given)], timeout=10)
        assert future.code().name == expected
        trailers = {one.key: one.value for one in future.trailing_metadata()}
        assert (trailers["x-request-id"] == given) == kept
        assert 1 <= len(trailers["x-request-id"]) <= 64
