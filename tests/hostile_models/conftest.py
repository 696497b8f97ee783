"""One server with a good model and all the bad ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file

import cases
import folders

from nearfield import Client


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Folders of all cases by name, the good one first."""
    root = tmp_path_factory.mktemp("hostile")
    made = {"good": folders.write(root / "good")}
    for name, case in (cases.CASES | cases.ACCEPTED).items():
        made[name] = folders.write(root / name, case.files, case.model, case.after)
    return made


@pytest.fixture(scope="session")
def served(built, start_server):
    """The server: `.client`, `.models` by name when all were tried, `.messages` by name, without the root's path."""
    handle = start_server(models={name: str(path) for name, path in built.items()}, model_load_seconds=20.0)
    with Client(handle.target) as client:
        waiting = set(built)
        models = {}
        for model in client.watch_models(timeout=280.0):
            if model.state not in {"loading", "unspecified"}:
                waiting.discard(model.name)
            models[model.name] = model
            if not waiting:
                break
        messages = {name: re.sub(r"\S*/hostile0/", "", one.state_message) for name, one in models.items()}
        yield SimpleNamespace(client=client, handle=handle, models=models, messages=messages)
