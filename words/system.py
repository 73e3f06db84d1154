"""What the operating system and libraries say in English, in the reader's language."""

import errno
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Final

_ERRNO: Final = re.compile(r"(?s)\[Errno -?\d+\] (?P<said>.*?)(?P<about>: '.*')?")


def in_language(said: object, lang: str, entries: Mapping[str, Mapping[str, str]]) -> str:
    """A system's or library's sentence in `lang`; as it is where `entries` do not know it.

    entries: of `words/system.yaml`, the English word for word as it is said, with placeholders for what differs.
    """
    if isinstance(said, OSError):
        text = said.strerror or str(said)
        by_number = os.strerror(said.errno) if said.errno is not None and said.errno in errno.errorcode else text
        return _told(text, lang, entries) or (lang != "en" and _told(by_number, lang, entries)) or text
    text = str(said)
    numbered = _ERRNO.fullmatch(text)
    if numbered:
        return in_language(numbered["said"], lang, entries) + (numbered["about"] or "")
    return _told(text, lang, entries) or text


def _told(text: str, lang: str, entries: Mapping[str, Mapping[str, str]]) -> str:
    """Empty where no entry knows it."""
    for key, pattern in _patterns(tuple((key, entry["en"]) for key, entry in entries.items())):
        found = pattern.fullmatch(text)
        if found:
            return entries[key][lang].format(**found.groupdict())
    return ""


@cache
def _patterns(entries: tuple[tuple[str, str], ...]) -> list[tuple[str, re.Pattern[str]]]:
    return [(key, re.compile(_pattern(english))) for key, english in entries]


def _pattern(english: str) -> str:
    before, found, after = english.partition("{found}")
    pieces = [re.escape(piece.replace("}}", "}").replace("{{", "{")) for piece in (before, after)]
    return f"(?s){pieces[0]}(?P<found>.*){pieces[1]}" if found else f"(?s){pieces[0]}"
