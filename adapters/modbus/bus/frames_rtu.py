"""Modbus RTU frames: unit (1 byte), function (1), data, checksum (2, low byte first). Pure.

An RTU frame carries neither a length nor a transaction number: a response is recognised only by its unit, function and
size. Anything that does not fit exactly is therefore treated as a loss of synchronisation (`InvalidFrame`), never as an
exception response, and the line must be silent before the next request.
"""

from typing import NamedTuple

from adapters.modbus.bus.faults import FUNCTIONS, AskedRange, ExceptionResponse, InvalidFrame
from adapters.modbus.model import BIT_TABLES, Table

HEAD = 3
"""Bytes of a response that determine its size."""
LARGEST = 256
_EXCEPTION_SIZE = 5
_READS = range(1, 5)
_FIXED = range(1, 7)
_WRITES_SEVERAL = (15, 16)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc(data: bytes) -> int:
    """The checksum; 0 over a complete valid frame.

    >>> crc(bytes.fromhex("010300000001840a"))
    0
    """
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value


def with_crc(data: bytes) -> bytes:
    """The frame with its checksum appended."""
    return data + crc(data).to_bytes(2, "little")


def request_frame(unit: int, table: Table, start: int, count: int) -> bytes:
    """A request for `count` addresses of `table` from `start`."""
    return with_crc(bytes((unit, FUNCTIONS[table])) + start.to_bytes(2, "big") + count.to_bytes(2, "big"))


def response_size(table: Table, count: int) -> int:
    """Size of a complete response [bytes]."""
    return 5 + ((count + 7) // 8 if table in BIT_TABLES else 2 * count)


def frame_size(head: bytes, unit: int, table: Table, count: int) -> int:
    """Size of the frame that begins with `head` [bytes]. Raises `InvalidFrame` if it cannot be the response."""
    if head[0] != unit:
        raise InvalidFrame(f"unit {unit} was asked, {head.hex(' ')} came", "garbled_answer")
    if head[1] == FUNCTIONS[table] | 0x80:
        return _EXCEPTION_SIZE
    size = response_size(table, count)
    if head[1] != FUNCTIONS[table] or head[2] != size - 5:
        text = f"function {FUNCTIONS[table]} and {size - 5} bytes were asked, {head.hex(' ')} came"
        raise InvalidFrame(text, "garbled_answer")
    return size


def response_values(frame: bytes, asked: AskedRange) -> bytes:
    """The bytes of the values in a response of the right size. Raises `InvalidFrame` or `ExceptionResponse`."""
    if crc(frame):
        raise InvalidFrame(f"an answer with a wrong checksum came ({len(frame)} bytes)", "garbled_answer")
    if frame[1] & 0x80:
        raise ExceptionResponse(frame[2], asked)
    return frame[3:-2]


class OverheardFrame(NamedTuple):
    """A valid frame in overheard traffic. is_request: it has the shape of a request, so a master sent it."""

    unit: int
    function: int
    is_request: bool


def overheard_frames(data: bytes) -> list[OverheardFrame]:
    """The valid frames in traffic that others caused; bytes between them that form no frame are skipped."""
    frames, at = [], 0
    while at + 4 < len(data):
        size, is_request = next(
            ((size, is_request) for size, is_request in _sizes(data[at : at + 7]) if _is_frame(data, at, size)),
            (1, False),
        )
        if size > 1:
            frames.append(OverheardFrame(data[at], data[at + 1], is_request))
        at += size
    return frames


def _sizes(head: bytes) -> list[tuple[int, bool]]:
    """The sizes that a frame with this head may have, each with whether it would be a request."""
    function = head[1]
    sizes = []
    if function in _READS:
        sizes.append((5 + head[2], False))
    if function in _FIXED or function in _WRITES_SEVERAL:
        sizes.append((8, True))
    if function in _WRITES_SEVERAL and len(head) > 6:
        sizes.append((9 + head[6], True))
    if 0x81 <= function <= 0x90:
        sizes.append((_EXCEPTION_SIZE, False))
    return sizes


def _is_frame(data: bytes, at: int, size: int) -> bool:
    return data[at] <= 247 and size <= LARGEST and at + size <= len(data) and crc(data[at : at + size]) == 0
