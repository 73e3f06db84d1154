"""Modbus TCP frames: encodes requests, checks and decodes responses. Only functions 1 to 4 exist here, so nothing that
imports this can write to a device.

Frame: transaction (2 bytes), protocol 0 (2), length of what follows (2), unit (1), then function (1) and data.
"""

import struct
from typing import Final

from adapters.modbus.bus.faults import (
    FUNCTIONS,
    WRONG_LENGTH,
    AskedRange,
    ExceptionResponse,
    InvalidFrame,
    UnfitResponse,
)
from adapters.modbus.model import BIT_TABLES, Table

HEADER = struct.Struct(">HHHB")
_REQUEST = struct.Struct(">HHHBBHH")
MAX_BODY = 254  # unit and 253 bytes of function and data: the standard's largest
_OTHERS: Final = (
    (b"HTTP/", "HTTP"), (b"SSH-", "SSH"), (b"\x15\x03", "TLS"), (b"\x16\x03", "TLS"), (b"ACKF", "OPC UA"),
    (b"ERRF", "OPC UA"), (b"<", "HTTP"), (b"220", "FTP, SMTP"),
)  # fmt: skip
"""How what other services say begins."""


def request_frame(transaction: int, unit: int, table: Table, start: int, count: int) -> bytes:
    """A request for `count` addresses of `table` from `start`."""
    return _REQUEST.pack(transaction, 0, 6, unit, FUNCTIONS[table], start, count)


def head(data: bytes) -> tuple[int, int, int]:
    """The seven bytes of a header as (transaction, unit, bytes that follow)."""
    transaction, protocol, length, unit = HEADER.unpack(data)
    if protocol != 0 or not 2 < length <= MAX_BODY:
        other = next((name for begin, name in _OTHERS if data.startswith(begin)), "")
        if other:
            raise InvalidFrame(f"{data!r} is {other}, not Modbus TCP", "other_protocol", protocol=other)
        raise InvalidFrame(f"header {data.hex(' ')} is not Modbus TCP (protocol {protocol}, length {length})")
    return transaction, unit, length - 1


def response_values(body: bytes, asked: AskedRange) -> bytes:
    """The bytes of the values in a response's body (function and data), checked against the request."""
    function = asked.function
    if body[0] == function | 0x80:  # some pad it to the length of a request
        raise ExceptionResponse(body[1], asked)
    if body[0] != function:
        text = f"{asked}: function {function} asked, {body[0]} answered"
        raise UnfitResponse(text, "unfit_response")
    expected = (asked.count + 7) // 8 if asked.table in BIT_TABLES else 2 * asked.count
    if body[1] != expected or len(body) != expected + 2:
        text = f"{asked}: {len(body) - 2} bytes answered instead of {expected}"
        raise ExceptionResponse(WRONG_LENGTH, asked, text)
    return body[2:]
