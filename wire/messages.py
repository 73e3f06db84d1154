"""`live` and `status` on the wire: JSON, compressed with zlib from 200 bytes on. Pure.

JSON begins with a brace and zlib data never does, so no flag is needed.
"""

import zlib
from typing import Final

from pydantic import BaseModel

from wire.envelope import Unsound

_COMPRESS_FROM_BYTES: Final = 200
_MOST_BYTES: Final = 4 * 1024 * 1024


def pack_message(body: BaseModel) -> bytes:
    """The bytes to publish."""
    text = body.model_dump_json(exclude_defaults=True).encode()
    return zlib.compress(text) if len(text) >= _COMPRESS_FROM_BYTES else text


def unpack_message(payload: bytes) -> bytes:
    """The JSON in a payload. Raises `Unsound`."""
    if payload[:1] == b"{":
        return payload
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(payload, _MOST_BYTES)
    except zlib.error as error:
        raise Unsound(f"neither JSON nor zlib: {error}") from error
    if inflater.unconsumed_tail:
        raise Unsound(f"larger than {_MOST_BYTES} bytes")
    return text
