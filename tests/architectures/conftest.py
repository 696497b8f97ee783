"""Every architecture, built and exported once a session and served by one server.

The references come from transformers and sentence-transformers, never from our own code. Where a test needs a formula,
it stands in `reference.py` with its source.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file

from foreign import unwarned

from nearfield import Client


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """Folders of all architectures by name."""
    root = tmp_path_factory.mktemp("zoo")
    with unwarned():
        import models  # noqa: PLC0415 - five seconds of torch and optimum, which only these tests need

        folders = {name: root / name for name in models.BUILDERS}
        for name, folder in folders.items():
            models.BUILDERS[name](folder)
    return folders


@pytest.fixture(scope="session")
def served(zoo, start_server):
    """A server of the whole zoo: `.client`, `.channel`'s `.target`, `.models` by name."""
    handle = start_server(models={name: str(folder) for name, folder in zoo.items()})
    with Client(handle.target) as client:
        yield SimpleNamespace(client=client, target=handle.target, handle=handle)


@pytest.fixture(scope="session")
def texts(golden):
    """The golden sentences, which hold empty texts, CJK, emoji and control characters, and texts over every limit."""
    return [*golden.texts, "今天天气很好。" * 60, "🚀" * 200, "word " * 2000]
