r"""Texts as InfluxDB can bear them, in line protocol and in InfluxQL. Pure.

Line protocol has no way to write a newline or a last backslash in a tag, and versions differ in what they do with
other characters that nobody sees. So such characters, the backslash and the percent sign are kept percent-encoded
(`%0A`); everything that people write in names, Vietnamese and spaces included, stays as it is. What is left to escape
then is little and the same everywhere. A tag that would be empty is left out, which reads as empty.
"""

from typing import Final
from urllib.parse import quote, unquote

_IN_TAG: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


def pack(text: str) -> str:
    r"""The text as it is kept: without backslashes, percent signs that mean themselves, and invisible characters.

    Raises `UnicodeEncodeError` for half a surrogate pair.

    >>> pack("kẹt khuôn, 5 %\n")
    'kẹt khuôn, 5 %25%0A'
    """
    if text.isprintable() and "%" not in text and "\\" not in text:
        return text
    return "".join(
        quote(character, safe="", errors="strict") if not character.isprintable() or character in "%\\" else character
        for character in text
    )


def unpack(kept: str) -> str:
    """The text that was packed."""
    return unquote(kept, errors="replace") if "%" in kept else kept


def tags(measurement: str, values: dict[str, str]) -> str:
    r"""Measurement and tags as a line begins with them; empty ones are left out.

    values: in alphabetical order, which spares the server sorting.

    >>> tags("facts", {"machine": "máy ép 2", "product": "", "shift": "A=1"})
    'facts,machine=máy\\\\ ép\\\\ 2,shift=A\\\\=1'
    """
    written = [f",{name}={pack(value).translate(_IN_TAG)}" for name, value in values.items() if value]
    return measurement + "".join(written)


def field_text(text: str) -> str:
    """A text as a field's value."""
    packed = pack(text).replace('"', '\\"')
    return f'"{packed}"'


def literal(text: str) -> str:
    r"""A kept text in an InfluxQL condition.

    >>> literal("nhà máy 'A'")
    "'nhà máy \\\\'A\\\\''"
    """
    quoted = pack(text).replace("'", "\\'")
    return f"'{quoted}'"


def name(text: str) -> str:
    """An identifier in InfluxQL."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
