"""A server whose model is a fake that does harm on command, and what its metrics say."""

import urllib.request

import pytest
from tokenizers import Tokenizer

from nearfield_server.backends.fake import FakeBackend
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.encoder import Encoder
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.encoder.spec import resolve
from nearfield_server.encoder.tokenizer import TextTokenizer


@pytest.fixture
def fake_model():
    """Make a loader of the built-in folder that runs on a `FakeBackend`, which is given back with it."""

    def make(on_word=None):
        folder = open_folder(builtin_folder())
        tokenizer = Tokenizer.from_file(str(folder.tokenizer_file))
        ids = {tokenizer.token_to_id(word): action for word, action in (on_word or {}).items()}
        backend = FakeBackend(384, on_id=ids)

        def load_model(name, path):
            spec = resolve(name, folder, folder.verify(), tokenizer, backend.signature)
            return LoadedEncoder(spec, TextTokenizer(spec, tokenizer), Encoder(spec, backend), backend)

        return load_model, backend

    return make


@pytest.fixture
def metric():
    """Read a sum over series: `metric(server, "nearfield_queue_items", priority="bulk")`."""

    def read(server, name, **labels):
        with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [
            line for line in lines if line.split("{")[0].split(" ")[0] == name and all(one in line for one in wanted)
        ]
        assert found, f"no series {name} {labels}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    return read
