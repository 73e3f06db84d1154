"""The envelope: delivered at least once, counted exactly once.

Layout, 48 bytes of header and then the body:

    offset  size
    0       2     magic "NH"
    2       1     version of this layout, 1
    3       1     codec of the body: 0 JSON, 1 JSON compressed with zlib
    4       8     stream, random; one for each outbox file and kind
    12      8     seq, unsigned big-endian, from 1 without gaps within the stream
    20      8     time at which the gateway sealed it, signed big-endian [ns UTC]
    28      20    digest, the first 20 bytes of SHA-256 over bytes 0-27 and the body

The header is never compressed, so any sound envelope can be receipted whatever
its content. (stream, seq) is never reused: the same pair with another digest is
a conflict, not a repetition.

`live` and `status` are never delivered again and need no envelope: they are JSON, compressed with zlib from 200 bytes on.
JSON begins with a brace and zlib data never does, so no flag is needed.
"""

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

MAGIC: Final = b"NH"
VERSION: Final = 1
_HEAD: Final = struct.Struct(">2sBB8sQq")
_DIGEST_BYTES: Final = 20
HEADER_BYTES: Final = _HEAD.size + _DIGEST_BYTES
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Of a body, unpacked: four times the largest that an agent makes, a site of twenty thousand process values."""
MAX_ITEMS: Final = 500_000
"""Of a body: commas and opening brackets, which is more than it has numbers, texts, lists and mappings. Python needs up to 100
bytes for each; 8 MiB of empty lists would take 200 MB."""
_COMPRESS_FROM_BYTES: Final = 200
MAX_MESSAGE_BYTES: Final = 512 * 1024
"""Of a `live` or `status`, unpacked: two thousand machines take some 300 kB."""


class Unsound(ValueError):
    """The bytes are not a valid envelope, or its content is invalid; the message says why."""


class NewerVersion(Unsound):
    """The envelope is of a later version of the layout than this program reads."""


@dataclass(frozen=True)
class Envelope:
    """A sealed envelope. stream: 16 hex digits; body: as on the wire, possibly compressed."""

    stream: str
    seq: int
    sealed_ns: int
    codec: int
    digest: bytes
    body: bytes

    @property
    def data(self) -> bytes:
        """The envelope as it crosses network and disk."""
        return _head(self.codec, self.stream, self.seq, self.sealed_ns) + self.digest + self.body


def _head(codec: int, stream: str, seq: int, sealed_ns: int) -> bytes:
    return _HEAD.pack(MAGIC, VERSION, codec, bytes.fromhex(stream), seq, sealed_ns)


def seal(stream: str, seq: int, sealed_ns: int, content: Any) -> Envelope:
    """Seals JSON content into an envelope."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    codec = 0
    if len(body) >= _COMPRESS_FROM_BYTES:
        body, codec = zlib.compress(body, 6), 1
    digest = hashlib.sha256(_head(codec, stream, seq, sealed_ns) + body).digest()[:_DIGEST_BYTES]
    return Envelope(stream, seq, sealed_ns, codec, digest, body)


def open_envelope(data: bytes) -> Envelope:
    """The envelope in these bytes.

    Raises `Unsound` if they are too short, of another magic or version, or damaged; `NewerVersion` for a later one.
    """
    if len(data) < HEADER_BYTES:
        raise Unsound(f"{len(data)} bytes are shorter than an envelope's header of {HEADER_BYTES}")
    magic, version, codec, stream, seq, sealed_ns = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise Unsound(f"starts with {magic!r}, not {MAGIC!r}")
    if version > VERSION:
        raise NewerVersion(f"version {version}; this program reads version {VERSION}: update it")
    if version != VERSION:
        raise Unsound(f"version {version}; this program reads version {VERSION}")
    digest, body = data[_HEAD.size : HEADER_BYTES], data[HEADER_BYTES:]
    if hashlib.sha256(data[: _HEAD.size] + body).digest()[:_DIGEST_BYTES] != digest:
        raise Unsound(f"digest of stream {stream.hex()} seq {seq} does not match its body")
    return Envelope(stream.hex(), seq, sealed_ns, codec, digest, body)


def decode_content(envelope: Envelope) -> Any:
    """The JSON inside. Raises `Unsound` as `unpack_body` and `read_body`."""
    return read_body(unpack_body(envelope))


def unpack_body(envelope: Envelope) -> bytes:
    """The JSON text inside. Raises `Unsound` if the codec is unknown, or the body does not decompress or is too large."""
    body = envelope.body
    if envelope.codec == 1:
        body = _inflated(body, MAX_BODY_BYTES, "body does not decompress")
    elif envelope.codec != 0:
        raise Unsound(f"codec {envelope.codec}; this program reads 0 and 1")
    if len(body) > MAX_BODY_BYTES:
        raise Unsound(f"body is larger than {MAX_BODY_BYTES} bytes")
    return body


def items_of(text: bytes) -> int:
    """About how many objects a JSON text becomes: what reading it costs, in time and memory."""
    return sum(map(text.count, (b",", b"[", b"{")))


def read_body(body: bytes) -> Any:
    """The content of a JSON text. Raises `Unsound` if it is none, or has too many items."""
    if (items := items_of(body)) > MAX_ITEMS:
        raise Unsound(f"body has {items} items; at most {MAX_ITEMS} are read")
    try:
        return json.loads(body)
    except ValueError as error:
        raise Unsound(f"body is not JSON: {error}") from error


def pack_message(body: BaseModel) -> bytes:
    """The bytes of a `live` or `status` message."""
    text = body.model_dump_json(exclude_defaults=True).encode()
    return zlib.compress(text) if len(text) >= _COMPRESS_FROM_BYTES else text


def unpack_message(payload: bytes) -> bytes:
    """The JSON in the payload of a `live` or `status` message. Raises `Unsound`."""
    text = payload if payload[:1] == b"{" else _inflated(payload, MAX_MESSAGE_BYTES, "neither JSON nor zlib")
    if len(text) > MAX_MESSAGE_BYTES:
        raise Unsound(f"larger than {MAX_MESSAGE_BYTES} bytes")
    return text


def _inflated(packed: bytes, most_bytes: int, trouble: str) -> bytes:
    """At most one byte more than `most_bytes`, however much there is."""
    try:
        return zlib.decompressobj().decompress(packed, most_bytes + 1)
    except zlib.error as error:
        raise Unsound(f"{trouble}: {error}") from error
