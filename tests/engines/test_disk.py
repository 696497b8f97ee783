import os
import shutil

from nearfield_server.engines.embedded.disk import folder_bytes


def test_the_size_of_a_folder_leaves_holes_out(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "full").write_bytes(b"x" * 8192)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(2**24)
    assert 8192 <= folder_bytes(tmp_path) < 2**20
    assert folder_bytes(tmp_path / "absent") == 0


def test_folders_that_go_while_they_are_read_do_not_count(tmp_path, monkeypatch):
    """The index builder removes folders of segments at any moment."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "full").write_bytes(b"x" * 8192)
    (tmp_path / "segments" / "going").mkdir(parents=True)
    (tmp_path / "segments" / "going" / "full").write_bytes(b"x" * 2**20)
    scandir = os.scandir

    def going(path):
        if str(path).endswith("going"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", going)
    assert 8192 <= folder_bytes(tmp_path) < 2**20
    assert not (tmp_path / "segments" / "going").exists()
