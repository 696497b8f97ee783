import io
import logging
import sys

import pytest

from nearfield_server.encoder import hub_progress
from nearfield_server.encoder.hub_files import small_files, with_data
from nearfield_server.encoder.model_card import card_license
from nearfield_server.encoder.variants import choose_variant, precisions_of, vision_variant

SENTENCE_TRANSFORMERS = [
    "onnx/model.onnx", "onnx/model_O1.onnx", "onnx/model_O2.onnx", "onnx/model_O3.onnx", "onnx/model_O4.onnx",
    "onnx/model_qint8_arm64.onnx", "onnx/model_qint8_avx512.onnx", "onnx/model_qint8_avx512_vnni.onnx",
    "onnx/model_quint8_avx2.onnx", "openvino/openvino_model.xml", "model.safetensors",
]  # fmt: skip
TRANSFORMERS_JS = ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx", "onnx/model_q4.onnx"]
VNNI, AVX2, ARM = frozenset({"avx2", "avx512_vnni"}), frozenset({"avx2"}), frozenset({"asimddp"})


@pytest.mark.parametrize(
    ("paths", "device", "precision", "flags", "path"),
    [
        (SENTENCE_TRANSFORMERS, "cpu", "", VNNI, "onnx/model.onnx"),
        (SENTENCE_TRANSFORMERS, "openvino", "", VNNI, "onnx/model.onnx"),
        (SENTENCE_TRANSFORMERS, "cuda", "", VNNI, "onnx/model_O4.onnx"),
        (SENTENCE_TRANSFORMERS, "tensorrt", "", VNNI, "onnx/model.onnx"),
        (SENTENCE_TRANSFORMERS, "cpu", "int8", VNNI, "onnx/model_qint8_avx512_vnni.onnx"),
        (SENTENCE_TRANSFORMERS, "cpu", "int8", AVX2, "onnx/model_quint8_avx2.onnx"),
        (SENTENCE_TRANSFORMERS, "cpu", "int8", ARM, "onnx/model_qint8_arm64.onnx"),
        (TRANSFORMERS_JS, "cuda", "", VNNI, "onnx/model_fp16.onnx"),
        (TRANSFORMERS_JS, "tensorrt", "", VNNI, "onnx/model_fp16.onnx"),
        (TRANSFORMERS_JS, "cpu", "fp16", VNNI, "onnx/model_fp16.onnx"),
        (TRANSFORMERS_JS, "cpu", "int8", VNNI, "onnx/model_quantized.onnx"),
        (["model.onnx"], "cpu", "", VNNI, "model.onnx"),
        (["onnx/model_O2.onnx"], "cpu", "", VNNI, "onnx/model_O2.onnx"),
        (["onnx/model_quantized.onnx"], "cpu", "", VNNI, "onnx/model_quantized.onnx"),
        (["onnx/model_fp16.onnx"], "cpu", "", VNNI, "onnx/model_fp16.onnx"),
        (
            ["onnx/model.onnx", "onnx/text_model.onnx", "onnx/vision_model.onnx"],
            "cpu",
            "",
            VNNI,
            "onnx/text_model.onnx",
        ),
        (["onnx/text_model.onnx", "onnx/model.onnx"], "cpu", "", VNNI, "onnx/model.onnx"),
        (["onnx/decoder.onnx"], "cpu", "", VNNI, None),
        (TRANSFORMERS_JS, "cpu", "w8", VNNI, None),
        (["onnx/model_q4.onnx"], "cpu", "", VNNI, None),
    ],
)
def test_the_file_for_a_device_and_precision(paths, device, precision, flags, path):
    found = choose_variant(paths, device, precision, flags)
    assert (found and found.path) == path
    if found:
        assert found.choice.startswith(f"{path}: ")
        assert ("depend on their batch" in found.choice) == (found.precision == "int8" or _int8_beside(paths, found))


def _int8_beside(paths, found):
    return found.precision == "fp32" and "int8" in precisions_of(paths) and "usual int8" in found.choice


def test_the_tower_of_the_images_is_of_the_same_precision_where_there_is_one():
    paths = [
        "onnx/text_model.onnx",
        "onnx/text_model_fp16.onnx",
        "onnx/vision_model.onnx",
        "onnx/vision_model_fp16.onnx",
    ]
    assert vision_variant(paths, "onnx/text_model_fp16.onnx") == "onnx/vision_model_fp16.onnx"
    assert vision_variant(paths[:3], "onnx/text_model_fp16.onnx") == "onnx/vision_model.onnx"
    assert vision_variant(paths[:2], "onnx/text_model.onnx") is None


def test_nothing_that_can_hold_code_is_taken():
    paths = [
        "config.json", "pytorch_model.bin", "model.safetensors", "modeling.py", "x.pkl", "2_Dense/config.json",
        "2_Dense/model.safetensors", "../config.json", "a/../tokenizer.json", "vocab.txt", "evil/config.json",
    ]  # fmt: skip
    assert small_files(paths) == ["2_Dense/config.json", "config.json"]
    assert small_files(paths, {"vocab.txt", "x.pkl"}) == ["2_Dense/config.json", "config.json", "vocab.txt"]


def test_external_data_is_found_by_name():
    paths = [
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "onnx/model.onnx_data_1",
        "onnx/model.onnx.data",
        "onnx/model.onnx2",
    ]
    assert with_data(paths, ["onnx/model.onnx"]) == sorted(paths[:4])


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("---\nlicense: mit\n---\n# x", "mit"),
        ("---\r\nlicense: mit\r\n---\r\n", "mit"),
        ("---\nlicense: other\nlicense_name: our-own\n---\n", "our-own"),
        ("---\nlicense: [a, b]\n---\n", ""),
        ("---\nlicense: mit\n", ""),
        ("---\n: : :\n---\n", ""),
        ("---\n- a\n---\n", ""),
        ("---\nlicense: !!python/object/apply:os.getcwd []\n---\n", ""),
        ("# license: mit", ""),
        ("", ""),
    ],
)
def test_the_licence_of_a_model_card(tmp_path, text, license):  # noqa: A002
    (tmp_path / "README.md").write_text(text)
    assert card_license(tmp_path) == license
    assert card_license(tmp_path / "none") == ""


def test_progress_is_logged_by_bytes_and_percent(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "nearfield.hub")
    monkeypatch.setattr(hub_progress, "_EVERY_SECONDS", 0.001)
    (tmp_path / "before").write_bytes(b"x" * 70)
    with hub_progress.showing_progress("org/m@main", tmp_path, 400):
        (tmp_path / "a.incomplete").write_bytes(b"x" * 100)
        told = []
        while not told:  # the thread that watches tells sooner or later
            told = [one for one in caplog.records if getattr(one, "bytes", 0) == 100]
    assert (told[0].of, told[0].percent, told[0].model) == (400, 25.0, "org/m@main")


def test_progress_is_a_bar_on_a_terminal(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "nearfield.hub")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(hub_progress, "_BAR_SECONDS", 0.001)
    with hub_progress.showing_progress("org/m@main", tmp_path, 400):
        while "org/m@main" not in screen.getvalue():
            pass
        with hub_progress.showing_progress("org/other@main", tmp_path, 1):
            pass  # a second one at the same time draws nothing
    assert not caplog.records
    assert not hub_progress._terminal.locked()
