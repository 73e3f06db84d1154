"""Looks of the test bed that are kept on disk, so that a run goes on where an earlier one ended, and a second one helps it."""

import hashlib
import os
import pickle
import zlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("oee", "tests/histories.py", "tests/besides.py", "tests/advice_bed.py")
"""What a look depends on beside its plan, seed and night: any change of it makes looks anew."""


@cache
def sources_digest():
    """Digest of the text of all sources."""
    digest = hashlib.sha256()
    for name in SOURCES:
        place = ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def kept_look(folder, of, make):
    """The look of this key from the folder (None: nothing is kept), else made and kept. of: anything whose `repr` says all."""
    if folder is None:
        return make()
    name = hashlib.sha256(f"{sources_digest()} {of!r}".encode()).hexdigest()
    path = Path(folder) / name[:2] / f"{name}.look"
    if path.exists():
        return pickle.loads(zlib.decompress(path.read_bytes()))  # written below
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(zlib.compress(pickle.dumps(made), 1))
    unfinished.replace(path)
    return made
