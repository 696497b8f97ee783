"""`nearfield models load|unload|alias` against a real server."""

import pytest

from nearfield_server.cli import main

from .conftest import put

pytestmark = pytest.mark.slow


def test_a_day_of_an_operator(repository, serve, capsys):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    target = serve(repository={"startup": "none"}).server.target

    def run(*arguments):
        code = main(["models", *arguments, "--target", target])
        out, err = capsys.readouterr()
        return code, (out + err).strip()

    code, text = run("load", "mine@1")
    assert (code, text.rpartition(" after ")[0]) == (0, "mine@1 is ready")
    assert run("load", "mine@2", "--keep-previous")[0] == 0
    code, text = run("alias", "query@canary", "mine@2")
    assert (code, text) == (0, "query@canary -> mine@2")
    code, text = run()
    assert code == 0
    assert "mine@2" in text
    assert "query@canary" in text
    code, text = run("query@canary")
    assert code == 0
    assert "name          mine" in text
    code, text = run("unload", "mine@2")
    assert code == 1
    assert "query@canary stands for mine@2" in text
    assert run("alias", "query@canary", "--delete") == (0, "")
    assert run("unload", "mine@2") == (0, "mine@2 is unloaded")
    code, text = run("load", "mien")
    assert code == 1
    assert "did you mean mine?" in text
    code, text = run("alias", "a")
    assert code == 2
    assert "--delete" in text
    assert run("unload", "mine")[0] == 0
