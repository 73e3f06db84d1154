"""Whether files are those that a packager signed: a signature over `SHA256SUMS`, and a sum for each file.

Each verdict is one sentence of `words/tools_verify.yaml`, `verify.<verdict>`.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from tools.verify.minisign import PublicKey, Unreadable, is_signed, read_signature

SUMS: Final = "SHA256SUMS"
_MOST_BYTES: Final = 1_000_000
"""Of sums and of a signature: more is neither."""
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
"""As `sha256sum` writes it."""


class Authenticity(StrEnum):
    """What is said of a file, and the first thing that is wrong with it."""

    FINE = "fine"
    NO_SUMS = "no_sums"
    NO_SIGNATURE = "no_signature"
    UNREADABLE_SIGNATURE = "unreadable_signature"
    OTHER_KEY = "other_key"
    FORGED = "forged"
    UNLISTED = "unlisted"
    NO_FILE = "no_file"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Judged:
    """values: what the sentence names."""

    file: Path
    verdict: Authenticity
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sums:
    """comment: what the packager says of the release, signed with it; wrong: why nothing of it counts."""

    by_name: Mapping[str, str]
    comment: str = ""
    wrong: tuple[Authenticity, Mapping[str, object]] | None = None


def judge(files: Iterable[Path], sums: Path | None, key: PublicKey) -> list[Judged]:
    """One verdict for each file. sums: None for those beside each file; their signature stands beside them."""
    known: dict[Path, _Sums] = {}
    found = []
    for file in files:
        place = sums or file.parent / SUMS
        if place not in known:
            known[place] = _signed_sums(place, key)
        found.append(_judge(file, place, known[place]))
    return found


def _judge(file: Path, place: Path, sums: _Sums) -> Judged:
    if sums.wrong:
        return Judged(file, *sums.wrong)
    wanted = sums.by_name.get(file.name)
    if wanted is None:
        return Judged(file, Authenticity.UNLISTED, {"sums": place})
    try:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return Judged(file, Authenticity.NO_FILE, {"why": error.strerror})
    return Judged(
        file, *((Authenticity.FINE, {"comment": sums.comment}) if found == wanted else (Authenticity.DIFFERENT, {}))
    )


def _signed_sums(place: Path, key: PublicKey) -> _Sums:
    """What `place` says, if this key signed it."""
    signature_file = place.with_name(f"{place.name}.minisig")
    try:
        content = _read(place)
    except OSError as error:
        return _wrong(Authenticity.NO_SUMS, sums=place, why=error.strerror)
    try:
        text = _read(signature_file)
    except OSError as error:
        return _wrong(Authenticity.NO_SIGNATURE, signature=signature_file, why=error.strerror)
    try:
        signature = read_signature(text.decode())
    except (Unreadable, UnicodeDecodeError):
        return _wrong(Authenticity.UNREADABLE_SIGNATURE, signature=signature_file)
    if signature.number != key.number:
        theirs = PublicKey(signature.number, b"").name
        return _wrong(Authenticity.OTHER_KEY, signature=signature_file, theirs=theirs, ours=key.name)
    if not is_signed(content, signature, key):
        return _wrong(Authenticity.FORGED, sums=place, ours=key.name)
    lines = (_LINE.fullmatch(line) for line in content.decode(errors="replace").splitlines())
    return _Sums({line[2]: line[1] for line in lines if line}, signature.comment)


def _wrong(verdict: Authenticity, **values: object) -> _Sums:
    return _Sums({}, wrong=(verdict, values))


def _read(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(_MOST_BYTES)
