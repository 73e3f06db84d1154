r"""Escaping of text in line protocol and InfluxQL. Pure.

Line protocol cannot express a newline or a trailing backslash in a tag, and versions differ in how they treat other
invisible characters. So these characters, the backslash and the percent sign are stored percent-encoded (`%0A`);
everything that people write in names, Vietnamese and spaces included, stays as it is. What then remains to be escaped
is little and the same everywhere. An empty tag is left out, which reads as empty.
"""

from typing import Final
from urllib.parse import quote, unquote

_IN_TAG: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


def pack(text: str) -> str:
    r"""The text as stored: backslashes, percent signs and invisible characters percent-encoded.

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


def unpack(packed: str) -> str:
    """The inverse of `pack`."""
    return unquote(packed, errors="replace") if "%" in packed else packed


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
    r"""A stored text in an InfluxQL condition.

    >>> literal("nhà máy 'A'")
    "'nhà máy \\\\'A\\\\''"
    """
    quoted = pack(text).replace("'", "\\'")
    return f"'{quoted}'"


def name(text: str) -> str:
    """An identifier in InfluxQL."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
