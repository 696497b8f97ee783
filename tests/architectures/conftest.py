"""Every architecture, built and exported once a session and served by one server.

The references come from transformers and sentence-transformers, never from our own code. Where a test needs a formula,
it stands in `reference.py` with its source.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file

from foreign import unwarned

from nearfield import Client


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """Folders of all architectures by name; of those in NEARFIELD_TEST_ARCHITECTURES (`clip,nli`) where it is set."""
    root = tmp_path_factory.mktemp("zoo")
    with unwarned():
        # Five seconds of torch and optimum, which only these tests need.
        import heads  # noqa: PLC0415
        import late_interaction  # noqa: PLC0415
        import models  # noqa: PLC0415
        import two_towers  # noqa: PLC0415

        builders = models.BUILDERS | heads.BUILDERS | late_interaction.BUILDERS | two_towers.BUILDERS
        wanted = os.environ.get("NEARFIELD_TEST_ARCHITECTURES", "")
        folders = {name: root / name for name in (wanted.split(",") if wanted else builders)}
        for name, folder in folders.items():
            builders[name](folder)
    return folders


@pytest.fixture(scope="session")
def served(zoo, start_server):
    """A server of the whole zoo: `.client`, `.channel`'s `.target`, `.models` by name."""
    handle = start_server(models={name: str(folder) for name, folder in zoo.items()})
    with Client(handle.target) as client:
        yield SimpleNamespace(client=client, target=handle.target, handle=handle)


@pytest.fixture(scope="session")
def states(served):
    """Each model by name, as the server lists it."""
    return {one.name: one for one in served.client.models()}


@pytest.fixture(scope="session")
def texts(golden):
    """The golden sentences, which hold empty texts, CJK, emoji and control characters, and texts over every limit."""
    return [*golden.texts, "今天天气很好。" * 60, "🚀" * 200, "word " * 2000]
