import os
import shutil

from nearfield_server.core.repository import Repository


def test_the_signature_of_a_version_bears_with_folders_that_go(tmp_path, monkeypatch):
    version = tmp_path / "model" / "1"
    (version / "going").mkdir(parents=True)
    (version / "going" / "model.onnx").write_bytes(b"x")
    (version / "kept").mkdir()
    (version / "kept" / "model.onnx").write_bytes(b"xyz")
    whole = Repository(tmp_path).signature("model", "1")
    assert [size for _, size, _ in whole] == [1, 3]
    scandir = os.scandir

    def going(path):
        if str(path).endswith("going"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", going)
    assert Repository(tmp_path).signature("model", "1") == whole[1:]
