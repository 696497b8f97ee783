import pytest

from nearfield_server.config.catalogue import SECTIONS, SETTINGS
from nearfield_server.config.settings import Config


@pytest.mark.parametrize(
    ("listen", "reflection", "on"),
    [
        ("127.0.0.1:1", "auto", True),
        ("unix:/x", "auto", True),
        ("0.0.0.0:1", "auto", False),
        ("0.0.0.0:1", "on", True),
        ("127.0.0.1:1", "off", False),
    ],
)
def test_reflection(listen, reflection, on):
    assert Config(listen=listen, reflection=reflection).reflection_on is on


def test_any_free_port_may_be_asked_for_twice():
    assert Config(listen="127.0.0.1:0", http="127.0.0.1:0").http == "127.0.0.1:0"
    assert Config(http="").http == ""


def test_settings_are_frozen_and_described():
    with pytest.raises(ValueError, match="frozen"):
        Config().listen = "x"
    for setting in SETTINGS.values():
        assert setting.description.endswith(".")
        assert setting.key.islower()
    assert set(SECTIONS) >= {"tls", "limits", "batching", "stream", "cache", "repository", "hub"}
