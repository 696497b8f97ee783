"""A model repository that holds the built-in encoder under several versions."""

import shutil
from contextlib import ExitStack
from types import SimpleNamespace

import grpc
import pytest

from nearfield.v1 import embed_pb2, embed_pb2_grpc, model_pb2_grpc, types_pb2
from nearfield_server.config.settings import Config
from nearfield_server.encoder.builtin import builtin_folder


def put(repository, name, version, **files):
    """Copy the built-in encoder to a version of `name`; `files` are written over what it has, `None` leaves out."""
    folder = repository / name / version
    shutil.copytree(builtin_folder(), folder)
    for path, content in files.items():
        target = folder / path.replace("__", "/").replace("_dot_", ".")
        if content is None:
            target.unlink()
        else:
            target.write_bytes(content)
    return folder


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def serve(run_server, repository, tmp_path):
    """Serve the repository: `.models` and `.embed` are stubs, `.call(model, text)` embeds.

    The server before is stopped first: a data folder has one.
    """
    with ExitStack() as stack:

        def start(**settings):
            stack.close()
            settings = {"listen": "127.0.0.1:0", "http": "127.0.0.1:0", "data_dir": tmp_path / "data"} | settings
            settings["repository"] = {"path": repository, **settings.get("repository", {})}
            server = stack.enter_context(run_server(Config(**settings)))
            channel = stack.enter_context(grpc.insecure_channel(server.target))
            embed, models = embed_pb2_grpc.EmbedServiceStub(channel), model_pb2_grpc.ModelServiceStub(channel)

            def call(model="", text="a dog barks"):
                return embed.Embed(embed_pb2.EmbedRequest(model=model, inputs=[types_pb2.Input(text=text)]), timeout=30)

            return SimpleNamespace(server=server, embed=embed, models=models, call=call)

        yield start
