"""Files that are written whole or not at all: under another name beside their place, which they take at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `target` at the end of the block. If the block or the replacement
    raises, `target` stays as it was, and what was written is removed.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(target: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `target` at the end of the block, by when it is on disk: also after a power
    cut, `target` holds its old or its new content. Raises `OSError`.

    mode: permissions, less those that the process masks; nobody has more at any moment.
    """
    with (
        part_of(target) as part,
        open(part, "xb", opener=partial(os.open, mode=mode)) as file,
    ):  # `Path.open` takes no opener
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_whole(target: Path, text: str, mode: int = 0o666) -> None:
    """Replaces a file by this text, in UTF-8, as `replacing` does."""
    with replacing(target, mode) as file:
        file.write(text.encode())
