"""A file is replaced whole or not at all, and nobody reads it who should not."""

import os
import stat

import pytest

from cli.files import part_of, replacing, write_whole


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old")
    return path


def test_until_the_end_the_old_file_is_read(target):
    with replacing(target) as file:
        file.write(b"new, and longer")
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new, and longer"
    assert [*target.parent.iterdir()] == [target]


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_what_fails_half_way_changes_nothing(target, error):
    with pytest.raises(type(error)), replacing(target) as file:
        file.write(b"half")
        raise error
    assert target.read_text() == "old"
    assert [*target.parent.iterdir()] == [target]


def test_a_place_that_cannot_be_taken_is_left_as_it_is(tmp_path):
    folder = tmp_path / "report.txt"
    folder.mkdir()
    with pytest.raises(OSError):
        write_whole(folder, "text")
    assert [*tmp_path.iterdir()] == [folder]
    with pytest.raises(OSError):
        write_whole(tmp_path / "no" / "report.txt", "text")


def test_what_a_power_cut_left_is_in_nobodys_way(target):
    left = target.with_name(f"{target.name}.part")
    left.symlink_to(target)  # nor is it written through
    with part_of(target) as part:
        assert not part.exists()
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_a_secret_is_nobody_elses_at_any_moment(target):
    target.chmod(0o644)
    with replacing(target, 0o600) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_text_is_utf_8_whatever_the_locale_says(target, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    write_whole(target, "Nhịp\n")
    assert target.read_bytes() == "Nhịp\n".encode()
