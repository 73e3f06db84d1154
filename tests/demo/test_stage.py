"""The demo's folder."""

from pathlib import Path

from demo.stage import Stage


def test_a_relative_folder_is_the_one_below_the_working_directory(tmp_path, monkeypatch):
    """Names in the files that it writes are relative to those files."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(Path("d1"))
    assert stage.folder == tmp_path / "d1"
    monkeypatch.chdir("/")
    assert stage.folder == tmp_path / "d1"
