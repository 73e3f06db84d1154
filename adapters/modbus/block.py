"""Decodes a whole response at once: the values of all tags of one request, in a few calls into C.

A gateway that reads ten thousand tags a second cannot afford a Python call for each. The bytes of all tags are picked
from the response in the order ABCD (overlapping tags repeat bytes), and one `struct` unpacks them; bits are picked in
one comprehension. After that only values that differ from the previous response are processed.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from adapters.modbus.decode import Decoder, Meaning, Value
from adapters.modbus.model import BIT_TABLES
from adapters.modbus.plan import Request

Raw = Sequence[Any]


class BlockLayout(NamedTuple):
    """How to decode the responses to one request. tags: by address; raw: a response to one raw value for each tag;
    meanings: raw value to value, None where they are the same; ValueError where the bytes mean nothing.
    """

    tags: tuple[str, ...]
    meanings: tuple[Meaning | None, ...]
    raw: Callable[[bytes], Raw]


def block_of(request: Request, decoders: Mapping[str, Decoder | None]) -> BlockLayout:
    """How to decode the responses to `request`. decoders: by tag, None for a coil or discrete input."""
    tags = request.tags
    if request.table in BIT_TABLES:
        return BlockLayout(tags, (None,) * len(tags), _bits([place.start - request.start for place in request.places]))
    decoders_at = [(decoder, 2 * (place.start - request.start)) for place in request.places
              if (decoder := decoders[place.tag]) is not None]  # fmt: skip
    meanings = tuple(decoder.meaning for decoder, _ in decoders_at)
    return BlockLayout(tags, meanings, _registers(decoders_at, 2 * request.count))


def value_of(meaning: Meaning | None, raw: Any) -> Value | None:
    """A tag's value; None where the bytes are no value of its type."""
    if meaning is None:
        return raw  # type: ignore[no-any-return]
    try:
        return meaning(raw)
    except ValueError:
        return None


def _bits(at: Sequence[int]) -> Callable[[bytes], Raw]:
    places = [(bit >> 3, 1 << (bit & 7)) for bit in at]
    return lambda data: [data[byte] & mask != 0 for byte, mask in places]


def _registers(decoders_at: Sequence[tuple[Decoder, int]], size: int) -> Callable[[bytes], Raw]:
    unpack = struct.Struct(">" + "".join(decoder.code for decoder, _ in decoders_at)).unpack
    order = [at + index for decoder, at in decoders_at for index in decoder.order]
    if order == list(range(size)):  # side by side and in the standard's order
        return unpack
    pick = itemgetter(*order)
    return lambda data: unpack(bytes(pick(data)))
