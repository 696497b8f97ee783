"""What the tests ask of a server with a model repository."""

import time

import grpc
import pytest
from google.rpc.status_pb2 import Status

from nearfield.v1 import model_pb2

READY, FAILED, UNLOADED = model_pb2.MODEL_STATE_READY, model_pb2.MODEL_STATE_FAILED, model_pb2.MODEL_STATE_UNLOADED


def load(stubs, name, version="", **options):
    return stubs.models.LoadModel(model_pb2.LoadModelRequest(name=name, version=version, **options), timeout=60).model


def unload(stubs, name, version=""):
    return stubs.models.UnloadModel(model_pb2.UnloadModelRequest(name=name, version=version), timeout=60).model


def alias(stubs, name, target):
    reply = stubs.models.SetAlias(model_pb2.SetAliasRequest(alias=name, target=target), timeout=10)
    return {one.alias: one.target for one in reply.aliases}


def listed(stubs):
    reply = stubs.models.ListModels(model_pb2.ListModelsRequest())
    return {(one.name, one.repository_version): one.state for one in reply.models}


def present(stubs, name):
    return stubs.models.GetModel(model_pb2.GetModelRequest(name=name)).model.repository_version


def refused(call, code, text):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() is getattr(grpc.StatusCode, code), caught.value.details()
    assert text in caught.value.details()
    return Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"]).details


def eventually(condition):
    """Wait for what another thread does; a minute is the limit of a hang, not a measure."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
