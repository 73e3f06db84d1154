"""Envelopes in a file, for a site without a connection to its center: a USB stick instead of a broker. Pure.

One JSON object a line, so that a damaged stick costs single lines, not the whole file:

    head       {"format": "nhip-envelopes", "version": 1, "about": ..., "site", "gateway", "written"}
    envelopes  {"kind": "facts", "data": ...}      data: Base64 of the sealed bytes of wire.envelope, header included
    end        {"envelopes": number, "digest": ...}      digest: SHA-256 (hex) of all lines before

Every envelope carries its own digest, so each line is valid by itself; the end only shows whether any are missing. The
site and gateway of the head replace the topic, so a file is only as trustworthy as the person who brings it.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from wire.topics import ENVELOPED, ID

FORMAT: Final = "nhip-envelopes"
VERSION: Final = 1
_ABOUT: Final = (
    "Envelopes of one gateway, one a line after this head: kind, and data as Base64 of the sealed bytes. "
    "The last line says how many there are. Bring them in at the center with: nhip import FILE --center CENTER.yaml"
)


class NotTransferFile(ValueError):
    """The file is not an offline transfer; the message says why. code: `foreign`, `newer` or `no_id`; value: what the
    file holds instead.
    """

    def __init__(self, code: str, value: str, text: str) -> None:
        super().__init__(text)
        self.code, self.value = code, value


@dataclass(frozen=True)
class TransferHead:
    """Whose envelopes the file holds. written: when (ISO 8601, UTC)."""

    site: str
    gateway: str
    written: str


@dataclass(frozen=True)
class TransferItem:
    """One envelope, as it would travel on the topic of its kind."""

    kind: str
    data: bytes


@dataclass(frozen=True)
class TransferEnd:
    """The last line. envelopes: the lines before it; complete: none of them is missing or changed."""

    envelopes: int
    complete: bool


@dataclass(frozen=True)
class DamagedLine:
    """A line that cannot be read. number: counted from 1."""

    number: int
    why: str


def pack(head: TransferHead, items: Iterable[TransferItem]) -> Iterator[bytes]:
    """The lines of a file."""
    digest, count = hashlib.sha256(), 0
    first = {"format": FORMAT, "version": VERSION, "about": _ABOUT, "site": head.site, "gateway": head.gateway}
    line = _line(first | {"written": head.written})
    digest.update(line)
    yield line
    for item in items:
        line = pack_item(item)
        digest.update(line)
        count += 1
        yield line
    yield _line({"envelopes": count, "digest": digest.hexdigest()})


def pack_item(item: TransferItem) -> bytes:
    """The line of one envelope."""
    return _line({"kind": item.kind, "data": base64.b64encode(item.data).decode()})


def read_head(line: bytes) -> TransferHead:
    """The first line. Raises `NotTransferFile`."""
    body = _object(line)
    if body.get("format") != FORMAT:
        raise NotTransferFile("foreign", "", "this file does not begin like one that `nhip outbox --export` writes")
    if body.get("version") != VERSION:
        version = str(body.get("version"))[:80]
        raise NotTransferFile("newer", version, f"version {version}; this program reads {VERSION}: install a newer one")
    head = TransferHead(*(str(body.get(name, "")) for name in ("site", "gateway", "written")))
    for what, text in (("site", head.site), ("gateway", head.gateway)):
        if not ID.fullmatch(text):
            raise NotTransferFile("no_id", text[:80], f"{what} {text[:80]!r} is no id")
    return head


def unpack(first: bytes, lines: Iterable[bytes]) -> Iterator[TransferItem | DamagedLine | TransferEnd]:
    """What follows the head, line by line. first: the line of the head; lines: those after it. Without a
    `TransferEnd` at the end the file was cut off."""
    digest = hashlib.sha256(first)
    for number, line in enumerate(lines, 2):
        body = _object(line)
        if "digest" in body:
            count = number - 2
            yield TransferEnd(count, body["digest"] == digest.hexdigest() and body.get("envelopes") == count)
            return
        digest.update(line)
        yield _item(body, number)


def read_item(line: bytes, number: int) -> TransferItem | DamagedLine:
    """The envelope in one line."""
    return _item(_object(line), number)


def _item(body: dict[str, Any], number: int) -> TransferItem | DamagedLine:
    kind = body.get("kind")
    if kind not in ENVELOPED:
        return DamagedLine(number, f"no kind of envelope: {str(kind)[:40]!r}")
    try:
        return TransferItem(kind, base64.b64decode(body.get("data", ""), validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        return DamagedLine(number, str(error))


def _object(line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
