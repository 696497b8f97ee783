"""The page in a real browser: it draws, it searches, and no text of it runs. Skipped where Chromium isn't installed."""

import re
import shutil
import subprocess

import pytest

from nearfield_server.cli.maps import write_map

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on the path: apt-get install chromium"),
]


@pytest.fixture
def opened(tmp_path):
    """What the page says of itself once everything is done: the attributes of its root, and its markup."""

    def done(data, fragment="", *flags):
        write_map(tmp_path / "map.html", data)
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=20000",
            "--timeout=60000",
            *flags,
            "--dump-dom",
            f"file://{tmp_path / 'map.html'}#{fragment}",
        ]
        page = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode("utf-8")
        root = re.search(r"<html[^>]*>", page).group()
        return dict(re.findall(r'data-([a-z]+)="([^"]*)"', root)), page

    return done


def test_it_draws_every_point_and_runs_no_text(make_map, hostile, opened):
    texts = [hostile[row % len(hostile)] for row in range(3000)]
    state, page = opened(make_map(count=3000, texts=texts, names={0: hostile[0], 7: hostile[2]}))
    assert state["state"] == "ready"
    assert (state["points"], state["focus"]) == ("3000", "3000")
    assert "<title>A map</title>" in page
    assert page.count('aria-pressed="false"><span class="dot"') == 6


def test_it_finds_what_holds_a_word_whatever_its_case(make_map, opened):
    texts = ["A Needle here" if row % 100 == 0 else "hay" for row in range(3000)]
    state, page = opened(make_map(count=3000, texts=texts), "q=nEEDLE")
    assert (state["state"], state["focus"]) == ("ready", "30")
    assert page.count("<mark>Needle</mark>") == 30


def test_one_cluster_alone_and_a_theme_can_be_asked_for(make_map, opened):
    data = make_map(count=3000)
    state, page = opened(data, "cluster=0&theme=dark")
    largest = max((data.clusters == row * 7).sum() for row in range(6))
    assert (state["theme"], state["focus"]) == ("dark", str(largest))
    assert page.count('aria-pressed="true"><span class="dot"') == 1


def test_without_webgl_it_says_so(make_map, opened):
    state, page = opened(make_map(), "", "--disable-gpu", "--disable-3d-apis")
    assert state["state"] == "refused"
    assert "It draws with WebGL, which this browser lacks" in page
