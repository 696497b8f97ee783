"""Models of a hub, from a real HTTP server on this machine."""

import os
import threading
import time

import numpy as np
import pytest
import small_model
from mirror import serving

from nearfield_server.encoder.hub import HubOptions
from nearfield_server.encoder.loader import LoadOptions, load
from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import Tokens

REPO = "org/small"
TAKEN = {
    "README.md",
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "onnx/model.onnx",
}


def inside(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def row(path, **arguments):
    """Load a model and give the vector of its first word."""
    model = load("m", path, device="cpu", **arguments)
    try:
        return model.encoder([Tokens(np.array([1]))])[0].dense
    finally:
        model.close()


def test_what_is_needed_is_brought_and_nothing_else(mirror, bring, tmp_path, log):
    commit = mirror.add(REPO, small_model.files())
    found = bring(REPO)
    assert found.folder == tmp_path / "hub/models--org--small/snapshots" / commit
    assert inside(found.folder) == TAKEN
    assert (found.license, found.source) == ("apache-2.0", f"{REPO}@{commit[:12]} ({mirror.url})")
    assert found.precision == "fp32"
    assert row(found.folder) == pytest.approx(small_model.TABLE[1])
    (told,) = [one for one in log.records if one.message == "model of the hub"]
    assert (told.commit, told.model) == (commit, f"{REPO}@main")
    assert {request[2].get("Authorization") for request in mirror.requests} == {None}
    # No other address of the hub is asked, such as the one of its telemetry.
    assert all(f"/{REPO}/" in path or path.startswith("/cdn/") for _, path, _ in mirror.requests)
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_what_is_there_is_not_fetched_again(mirror, bring):
    commit = mirror.add(REPO, small_model.files())
    first = bring(REPO)
    mirror.requests.clear()
    assert bring(REPO) == first
    assert [path for _, path, _ in mirror.requests] == [f"/api/models/{REPO}/revision/main"]
    mirror.requests.clear()
    assert bring(f"{REPO}@{commit}").folder == first.folder
    assert mirror.requests == []


def test_a_branch_that_moved_is_followed_and_a_pin_is_not(mirror, bring):
    old = mirror.add(REPO, small_model.files())
    bring(REPO)
    new = mirror.add(REPO, small_model.files(graphs={"onnx/model.onnx": small_model.graph(2.0)}))
    tag = mirror.add(REPO, small_model.files(graphs={"onnx/model.onnx": small_model.graph(3.0)}), revision="v3")
    assert bring(REPO).folder.name == new
    assert bring(f"{REPO}@{old}").folder.name == old
    assert bring(f"{REPO}@v3").folder.name == tag
    assert row(bring(REPO, offline=True).folder) == pytest.approx(2 * small_model.TABLE[1])
    assert row(bring(f"{REPO}@v3", offline=True).folder) == pytest.approx(3 * small_model.TABLE[1])


def variants():
    scales = {"": 1.0, "_fp16": 16.0, "_quantized": 8.0}
    return small_model.files(graphs={f"onnx/model{key}.onnx": small_model.graph(one) for key, one in scales.items()})


@pytest.mark.parametrize(
    ("device", "precision", "scale", "choice"),
    [
        ("cpu", "", 1, "onnx/model.onnx: fp32; usual int8 files give vectors that depend on their batch"),
        ("cuda", "", 16, "onnx/model_fp16.onnx: fp16, which cuda runs fastest"),
        ("cuda", "fp32", 1, "onnx/model.onnx: precision fp32 is asked for"),
        ("cpu", "int8", 8, "onnx/model_quantized.onnx: precision int8 is asked for, which gives vectors that depend"),
    ],
)
def test_the_graph_for_the_device(mirror, bring, device, precision, scale, choice):
    mirror.add(REPO, variants())
    bring(REPO)  # the usual one is there already, and isn't taken by mistake
    found = bring(REPO, device, precision)
    assert found.choice.startswith(choice)
    assert row(found.folder, precision=found.precision) == pytest.approx(scale * small_model.TABLE[1])


def test_a_precision_that_is_not_there(mirror, bring):
    mirror.add(REPO, variants())
    with pytest.raises(
        ModelLoadFailure, match=r"precision w8 is asked for, but it has fp32, fp16, int8: .*nearfield ex"
    ):
        bring(REPO, precision="w8")


def test_a_manifest_says_which_files(mirror, bring):
    manifest = (
        b"files: {tokenizer: t/words.json, precisions: {fp32: g/a.onnx, fp16: g/b.onnx}, providers: {cuda: fp16}}"
    )
    files = small_model.files(graphs={"g/a.onnx": small_model.graph(), "g/b.onnx": small_model.graph(4.0)})
    files |= {"nearfield.yaml": manifest, "t/words.json": files["tokenizer.json"]}
    mirror.add(REPO, files)
    found = bring(REPO)
    assert "onnx/model.onnx" not in inside(found.folder)
    assert {"g/a.onnx", "t/words.json"} <= inside(found.folder)
    bring(REPO, "cuda")
    assert "g/b.onnx" in inside(found.folder)
    mirror.add(REPO, files | {"nearfield.yaml": b"files: {model: gone.onnx}"})
    with pytest.raises(ModelLoadFailure, match=r"its nearfield\.yaml names gone\.onnx, which isn't there"):
        bring(REPO)


@pytest.mark.parametrize("name", ["model.onnx_data", "model.onnx.data"])
def test_external_data_comes_along(mirror, bring, name):
    files = small_model.files(graphs={"onnx/model.onnx": small_model.graph(data=name)})
    mirror.add(REPO, files | {f"onnx/{name}": small_model.TABLE.tobytes(), "onnx/other.onnx_data": b"x"})
    found = bring(REPO)
    assert inside(found.folder) == TAKEN | {f"onnx/{name}"}
    assert not (found.folder / "onnx" / name).is_symlink()
    assert row(found.folder) == pytest.approx(small_model.TABLE[1])
    assert bring(REPO, offline=True) == found


def test_links_of_the_cache_are_followed_and_others_are_not(mirror, bring, tmp_path):
    mirror.add(REPO, small_model.files())
    folder = bring(REPO).folder
    assert (folder / "onnx/model.onnx").is_symlink()
    row(folder)
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(small_model.graph())
    (folder / "onnx/model.onnx").unlink()
    (folder / "onnx/model.onnx").symlink_to(outside)
    with pytest.raises(ModelLoadFailure, match="leads out of the model's folder"):
        row(folder)


def test_offline_fails_at_once_and_says_what_to_do(mirror, bring):
    mirror.add(REPO, small_model.files())
    with pytest.raises(ModelLoadFailure, match=r"hub\.offline") as caught:
        bring(REPO, offline=True)
    assert mirror.requests == []
    for words in ("nearfield export org/small --out DIR", "Copy the model's folder", "If a folder is meant"):
        assert words in caught.value.message
    online = bring(REPO)
    assert bring(REPO, offline=True) == online
    with pytest.raises(ModelLoadFailure, match="precision int8"):
        bring(REPO, precision="int8", offline=True)


def test_offline_a_copy_with_files_missing_is_not_taken_for_whole(mirror, bring):
    mirror.add(REPO, variants())
    found = bring(REPO)
    with pytest.raises(ModelLoadFailure, match=r"onnx/model_fp16\.onnx was not downloaded before"):
        bring(REPO, "cuda", offline=True)
    (found.folder / "1_Pooling/config.json").unlink()  # without it another pooling might be taken
    with pytest.raises(ModelLoadFailure, match=r"1_Pooling/config\.json was not downloaded before"):
        bring(REPO, offline=True)


def test_a_hub_that_is_not_there_fails_fast_or_gives_the_copy_of_last_time(mirror, bring, log):
    mirror.add(REPO, small_model.files())
    with serving() as gone:
        pass
    started = time.monotonic()
    with pytest.raises(ModelLoadFailure, match=f"{gone.url} can't be reached: .*nearfield export"):
        bring(REPO, endpoint=gone.url)
    assert time.monotonic() - started < 5
    found = bring(REPO)
    assert bring(REPO, endpoint=gone.url).folder == found.folder
    assert any("the copy of last time is used" in one.message for one in log.records)


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_given_up(mirror, bring):
    mirror.add(REPO, small_model.files())
    mirror.stalled.clear()
    started = time.monotonic()
    with pytest.raises(ModelLoadFailure, match="can't be reached"):
        bring(REPO, timeout_seconds=0.3)
    assert time.monotonic() - started < 5
    mirror.stalled.set()


def test_private_models_need_the_token_which_goes_to_the_hub_alone(mirror, bring, tmp_path):
    mirror.token = "hf_secret"
    mirror.add(REPO, small_model.files())
    with pytest.raises(ModelLoadFailure, match=r"no such model, or private: give a token by HF_TOKEN or hub\.token_fi"):
        bring(REPO)
    token = tmp_path / "token"
    with pytest.raises(ModelLoadFailure, match=r"hub\.token_file .*token: can't be read"):
        bring(REPO, token_file=token)
    token.write_text("hf_wrong\n")
    with pytest.raises(ModelLoadFailure, match="no such model, or this token can't see it") as caught:
        bring(REPO, token_file=token)
    assert "hf_wrong" not in caught.value.message
    token.write_text("hf_secret\n")
    with serving() as cdn:
        mirror.cdn = cdn.url
        cdn.commits = mirror.commits
        found = bring(REPO, token_file=token)
        assert cdn.fetched
        assert all("Authorization" not in headers for _, _, headers in cdn.requests)
    assert inside(found.folder) == TAKEN


def test_gated_models(mirror, bring):
    mirror.add(REPO, small_model.files())
    mirror.gated.add(REPO)
    with pytest.raises(ModelLoadFailure, match=rf"refuses access \(HTTP 403\): accept the model's terms at .*{REPO}"):
        bring(REPO)


@pytest.mark.parametrize(
    ("text", "without", "words"),
    [
        ("org/none", (), r"org/none@main: http://.* has no such model"),
        (f"{REPO}@nowhere", (), "has that model, but no revision nowhere"),
        (REPO, ("onnx/model.onnx",), "no ONNX file: make it with `nearfield export org/small --out DIR` and give DIR"),
        (REPO, ("tokenizer.json",), r"has no tokenizer\.json: make one with `nearfield export"),
    ],
)
def test_what_cannot_be_had(mirror, bring, text, without, words):
    mirror.add(REPO, {path: content for path, content in small_model.files().items() if path not in without})
    with pytest.raises(ModelLoadFailure, match=words):
        bring(text)


def test_a_download_that_breaks_off_is_not_taken_for_whole_and_goes_on(mirror, bring, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)  # 10 MB else
    mirror.add(REPO, small_model.files())
    mirror.cut_after["onnx/model.onnx"] = 50_000
    with pytest.raises(ModelLoadFailure, match=r"onnx/model\.onnx: the download broke off .*nearfield export"):
        bring(REPO)
    folder = tmp_path / "hub/models--org--small"
    assert not list(folder.glob("snapshots/*/onnx/*"))
    assert not (folder / "refs").exists()
    with pytest.raises(ModelLoadFailure, match="can't be downloaded"):
        bring(REPO, offline=True)
    mirror.cut_after.clear()
    mirror.requests.clear()
    found = bring(REPO)
    assert any(headers.get("Range", "").startswith("bytes=5") for _, _, headers in mirror.requests)
    assert (found.folder / "onnx/model.onnx").read_bytes() == small_model.graph()


@pytest.mark.slow
def test_a_server_that_stops_waits_for_no_download(mirror, bring):
    mirror.add(REPO, small_model.files())
    stopping = threading.Event()
    asked = mirror.stall_at("/cdn/")

    def stop_then():
        asked.wait(30)
        stopping.set()

    threading.Thread(target=stop_then).start()
    started = time.monotonic()
    with pytest.raises(ModelLoadFailure, match="not downloaded, the server stops"):
        bring(REPO, stopping=stopping)
    assert time.monotonic() - started < 5
    mirror.stalled.set()


def test_a_file_that_was_damaged_on_its_way_is_removed(mirror, bring):
    mirror.add(REPO, small_model.files())
    mirror.damaged.add("onnx/model.onnx")
    with pytest.raises(ModelLoadFailure, match=r"model\.onnx: SHA-256 is .*damaged on its way; removed"):
        bring(REPO)
    mirror.damaged.clear()
    row(bring(REPO).folder)


def test_licence_and_source_of_the_spec(mirror, tmp_path):
    commit = mirror.add(REPO, small_model.files())
    options = LoadOptions(hub=HubOptions(cache_dir=tmp_path / "hub", endpoint=mirror.url))
    model = load("m", REPO, device="cpu", options=options)
    assert (model.spec.license, model.spec.precision) == ("apache-2.0", "fp32")
    assert model.spec.source == f"{REPO}@{commit[:12]} ({mirror.url})"
    assert "device cpu is asked for; onnx/model.onnx: fp32" in model.choice
    model.close()
