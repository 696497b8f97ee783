"""Names that stand for models: set, moved, kept over restarts and kills."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from nearfield.v1 import model_pb2
from nearfield_server.errors import ModelLoadFailure

from .calls import READY, UNLOADED, alias, listed, load, present, refused, unload
from .conftest import put

pytestmark = pytest.mark.slow


def test_aliases_move_at_once_and_survive_a_restart(repository, serve, tmp_path):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    data = tmp_path / "data"
    stubs = serve(data_dir=data, repository={"startup": "none"}, aliases={"stable": "all-MiniLM-L6-v2"})
    load(stubs, "mine", "1")
    load(stubs, "mine", "2", keep_previous=True)
    assert alias(stubs, "query@canary", "mine@2") == {"query@canary": "mine@2", "stable": "all-MiniLM-L6-v2"}
    assert stubs.call("query@canary").model == "mine"
    assert stubs.models.GetModel(model_pb2.GetModelRequest(name="query@canary")).model.repository_version == "2"
    alias(stubs, "default", "mine@1")
    assert stubs.models.GetModel(model_pb2.GetModelRequest()).model.repository_version == "1"
    assert stubs.models.ListModels(model_pb2.ListModelsRequest()).models[0].name == "mine"
    refused(lambda: unload(stubs, "mine", "2"), "FAILED_PRECONDITION", "query@canary stands for mine@2")
    refused(lambda: alias(stubs, "mine", "all-MiniLM-L6-v2"), "INVALID_ARGUMENT", "is a model's own name")
    refused(lambda: alias(stubs, "a", "query@canary"), "INVALID_ARGUMENT", "is an alias")
    refused(lambda: alias(stubs, "a b", "mine"), "INVALID_ARGUMENT", "must be NAME")
    refused(lambda: alias(stubs, "a", "minee"), "NOT_FOUND", "did you mean mine")
    alias(stubs, "default", "")
    assert stubs.models.GetModel(model_pb2.GetModelRequest()).model.name == "all-MiniLM-L6-v2"
    alias(stubs, "stable", "")
    again = serve(data_dir=data, aliases={"stable": "all-MiniLM-L6-v2"})
    aliases = again.models.ListModels(model_pb2.ListModelsRequest()).aliases
    assert {one.alias: one.target for one in aliases} == {"query@canary": "mine@2"}
    assert again.call("query@canary").model == "mine"


def test_a_damaged_file_of_aliases_is_named(serve, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "aliases.json").write_text('{"a": ')
    with pytest.raises(Exception, match=r"aliases\.json: can't be read"):
        serve(data_dir=tmp_path / "data")


def test_versions_that_aliases_stand_for_are_loaded_at_start(repository, serve):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    put(repository, "taken", "1")
    aliases = {"query@stable": "mine@1", "default": "mine@1", "taken": "mine", "nothing": "nobody"}
    stubs = serve(aliases=aliases)
    assert listed(stubs) == {("all-MiniLM-L6-v2", ""): READY, ("mine", "1"): READY, ("mine", "2"): READY}
    assert present(stubs, "query@stable") == present(stubs, "") == "1"
    assert present(stubs, "mine") == present(stubs, "taken") == "2"
    refused(lambda: stubs.call("nothing"), "NOT_FOUND", "no model of that name")
    refused(lambda: load(stubs, "taken"), "FAILED_PRECONDITION", "taken is an alias of mine")
    with pytest.raises(ModelLoadFailure, match=r"the alias default stands for mine@3, .* out of the settings"):
        serve(aliases={"default": "mine@3"}, listen="127.0.0.1:0")


def test_a_version_that_an_alias_stands_for_outlives_its_swap(repository, serve):
    put(repository, "mine", "1")
    stubs = serve()
    alias(stubs, "default", "mine@1")
    put(repository, "mine", "2")
    refused(lambda: load(stubs, "mine", unload_first=True), "FAILED_PRECONDITION", "default stands for mine@1")
    assert load(stubs, "mine").repository_version == "2"
    assert (present(stubs, "mine"), present(stubs, "")) == ("2", "1")
    assert stubs.call().model == "mine"
    alias(stubs, "default", "mine")
    assert unload(stubs, "mine", "1").state == UNLOADED
    assert present(stubs, "") == "2"


def test_an_alias_is_no_name_of_the_repository(repository, serve):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    stubs = serve()
    refused(lambda: alias(stubs, "mine@1", "mine"), "INVALID_ARGUMENT", "is a model's own name")
    put(repository, "later", "1")
    refused(lambda: alias(stubs, "later", "mine"), "INVALID_ARGUMENT", "is a model's own name")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: alias(stubs, f"alias-{number}", "mine@2"), range(24)))
    assert len(alias(stubs, "one-more", "mine")) == 25


def test_aliases_are_whole_after_a_kill(tmp_path):
    """Every acknowledged alias is there, whenever the process is killed."""
    code = """
import sys
from pathlib import Path
from nearfield_server.core.aliases import Aliases
aliases = Aliases(Path(sys.argv[1]), {})
for number in range(100000):
    aliases.put({"a": f"m@{number}"})
    print(number, flush=True)
"""
    file = tmp_path / "aliases.json"
    with subprocess.Popen([sys.executable, "-c", code, file], stdout=subprocess.PIPE, text=True) as child:
        for _ in range(50):
            last = int(child.stdout.readline())
        child.kill()
        rest = child.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else last
    assert int(json.loads(file.read_text())["a"].partition("@")[2]) >= acknowledged
