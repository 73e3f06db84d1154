"""The lines of a text file as UTF-8, in blocks of any number of whole lines, forwards or backwards.

UTF-8 with or without a byte-order mark, or UTF-16 with one (what spreadsheets call "Unicode text").
"""

import codecs
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

_BLOCK_BYTES: Final = 16_000_000
_COPY_CHARS: Final = 1_000_000


class LineBlock(NamedTuple):
    """Successive lines. line: the number of the first; is_cut: this is the file's last line, and nothing ends it."""

    data: bytes
    line: int
    is_cut: bool


class Lines:
    """A file's lines from a place on. line: the number of the next one, from 1; share: how much of the file has been read
    by `forward` or `backward` [1]."""

    def __init__(self, file: IO[bytes], at: int = 0) -> None:
        self._file, self._at = file, at
        self._size = file.seek(0, io.SEEK_END)
        self.line = 1
        self.share = 0.0

    def peek(self) -> bytes:
        """The next line; b"" at the end."""
        self._file.seek(self._at)
        return self._file.readline()

    def skip(self) -> bytes:
        """The next line, which then lies behind."""
        data = self.peek()
        self._at += len(data)
        self.line += 1
        return data

    def sample(self, size: int) -> bytes:
        """The next whole lines, some `size` bytes of them."""
        self._file.seek(self._at)
        data = self._file.read(size)
        return data[: data.rfind(b"\n") + 1] or data

    def forward(self) -> Iterator[LineBlock]:
        """All lines from here on, in the file's order."""
        at, line, unfinished = self._at, self.line, b""
        while True:
            self._file.seek(at)
            data = self._file.read(_BLOCK_BYTES)
            at += len(data)
            self.share = min(at / max(self._size, 1), 1.0)
            block = unfinished + data
            end = block.rfind(b"\n") + 1 if data else len(block)
            block, unfinished = block[:end], block[end:]
            if block:
                yield LineBlock(block, line, is_cut=not data)
                line += block.count(b"\n")
            if not data:
                return

    def backward(self) -> Iterator[LineBlock]:
        """The same lines from the file's end to here; within a block they are in the file's order."""
        line = self.line + self._newlines()
        end, rest, is_end = self._size, b"", True  # rest: a line's end whose beginning lies before `end`
        while end > self._at:
            begin = max(self._at, end - _BLOCK_BYTES)
            self._file.seek(begin)
            block = self._file.read(end - begin) + rest
            start = block.find(b"\n") + 1 if begin > self._at else 0
            if begin > self._at and not start:
                rest, end = block, begin
                continue
            block, rest = block[start:], block[:start]
            end = begin
            self.share = 1.0 - (end - self._at) / max(self._size, 1)
            if is_end and block and not block.endswith(b"\n"):
                last = block.rfind(b"\n") + 1
                yield LineBlock(block[last:], line, is_cut=True)
                block = block[:last]
            is_end = is_end and not block
            if block:
                line -= block.count(b"\n")
                yield LineBlock(block, line, is_cut=False)

    def _newlines(self) -> int:
        count = 0
        self._file.seek(self._at)
        while data := self._file.read(_BLOCK_BYTES):
            count += data.count(b"\n")
        return count


@contextmanager
def open_lines(path: Path) -> Iterator[Lines]:
    """The file's lines. Of UTF-16 a copy in UTF-8 is read; a broken character becomes U+FFFD."""
    with path.open("rb") as file:
        mark = file.read(3)
        file.seek(0)
        if mark[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            yield Lines(file, len(mark) if mark == codecs.BOM_UTF8 else 0)
            return
        with tempfile.TemporaryFile() as copy:
            text = io.TextIOWrapper(file, encoding="utf-16", errors="replace", newline="\n")
            while chars := text.read(_COPY_CHARS):
                copy.write(chars.encode())
            text.detach()
            yield Lines(copy)
