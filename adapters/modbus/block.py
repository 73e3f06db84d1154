"""A whole answer at once: the values of all tags that one request brings, in a few calls into C.

A gateway that reads ten thousand tags a second cannot afford a Python call for each. The bytes of all tags are picked
from the answer in the order ABCD, one after the other and as often as tags share them, and one `struct` takes them
apart; bits are picked in one comprehension. Then only what differs from the answer before is looked at.
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
    """One request's tags, by address; `raw` of an answer has as many values. meanings: None where the raw value is the
    value; ValueError where it means nothing.
    """

    tags: tuple[str, ...]
    meanings: tuple[Meaning | None, ...]
    raw: Callable[[bytes], Raw]


def block_of(request: Request, decoders: Mapping[str, Decoder | None]) -> BlockLayout:
    """How to read the answers to `request`. decoders: by tag, None for a bit of a table of bits."""
    tags = request.tags
    if request.table in BIT_TABLES:
        return BlockLayout(tags, (None,) * len(tags), _bits([place.start - request.start for place in request.places]))
    chosen = [(decoder, 2 * (place.start - request.start)) for place in request.places
              if (decoder := decoders[place.tag]) is not None]  # fmt: skip
    meanings = tuple(decoder.meaning for decoder, _ in chosen)
    return BlockLayout(tags, meanings, _registers(chosen, 2 * request.count))


def value_of(meaning: Meaning | None, raw: Any) -> Value | None:
    """The value of a tag; None where the bytes are no value of its type."""
    if meaning is None:
        return raw  # type: ignore[no-any-return]
    try:
        return meaning(raw)
    except ValueError:
        return None


def _bits(at: Sequence[int]) -> Callable[[bytes], Raw]:
    places = [(bit >> 3, 1 << (bit & 7)) for bit in at]
    return lambda data: [data[byte] & mask != 0 for byte, mask in places]


def _registers(chosen: Sequence[tuple[Decoder, int]], size: int) -> Callable[[bytes], Raw]:
    unpack = struct.Struct(">" + "".join(decoder.code for decoder, _ in chosen)).unpack
    order = [at + index for decoder, at in chosen for index in decoder.order]
    if order == list(range(size)):  # side by side and in the standard's order
        return unpack
    pick = itemgetter(*order)
    return lambda data: unpack(bytes(pick(data)))
