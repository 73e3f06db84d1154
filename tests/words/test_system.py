"""What the system and libraries really say is told in the reader's language."""

import errno
import os
import socket
import sqlite3

import pytest

from config.yaml.tree import read_tree
from words import complaint, say
from words.catalogue import subject

SYSTEM = subject("system")
ERRORS = [
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO,
    errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.EEXIST, errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ECONNREFUSED,
    errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EPIPE, errno.ENODEV, errno.ENXIO,
    errno.EBUSY, errno.EFBIG, errno.ELOOP, errno.ESTALE, errno.ENOTEMPTY, errno.EINVAL,
]  # fmt: skip
NO_YAML = [
    "a: b: c", "a: [1, 2", "a: [1 2\nb: 3", "a: {b: 1", "a: {b: 1]", "a: 'b", 'a: "b', 'a: "\\q"', "a:\n  b: 1\n c: 2", "a: *b",
    "a: @b", "a: `b`", "- a\nb: 1", "a: - b", "a: [", "a: &", "a: 1\n---\nb: 2", "a: }", "a\nb: 1", "a: !x!y z", "a: \x01",
    "a: 'b\n---\nc'",
]  # fmt: skip


def told(error, lang="vi"):
    return say("complaint.cannot_read", lang, detail=error)


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_errors_of_the_operating_system(number):
    error = OSError(number, os.strerror(number), "/x/y")
    [vietnamese] = [entry["vi"] for entry in SYSTEM.values() if entry["en"] == os.strerror(number)]
    assert vietnamese in told(error)
    assert told(os.strerror(number)) == told(error)
    assert f"{vietnamese}: '/x/y'" in told(str(error))
    assert os.strerror(number) in told(error, "en")


def test_errors_as_they_really_come(tmp_path):
    with pytest.raises(OSError, match="No such") as missing:
        (tmp_path / "none").read_text()
    assert "không có tệp" in told(missing.value)
    (tmp_path / "junk").write_text("junk " * 200)
    for place, vietnamese in (("junk", "không phải tệp SQLite"), ("none/x", "không mở được")):
        with pytest.raises(sqlite3.Error) as broken:
            sqlite3.connect(tmp_path / place).execute("select * from sqlite_master")
        assert vietnamese in told(broken.value)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="in use") as used:
            socket.create_server(taken.getsockname())
        assert "đang được dùng" in told(used.value)


@pytest.mark.parametrize("text", NO_YAML)
def test_what_is_no_yaml(text):
    _, [found] = read_tree(text, "site.yaml")
    vietnamese, english = complaint(found, "vi"), complaint(found, "en")
    said = found.values["detail"]
    assert said in english
    assert said not in vietnamese


def test_what_nobody_foresaw_is_told_as_it_is():
    assert "something new {x}" in told(RuntimeError("something new {x}"))
