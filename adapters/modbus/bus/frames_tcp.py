"""Modbus TCP frames: encodes requests, checks and decodes responses. Only functions 1 to 4 exist here, so nothing that
imports this can write to a device.

Frame: transaction (2 bytes), protocol 0 (2), length of what follows (2), unit (1), then function (1) and data.
"""

import struct

from adapters.modbus.model import BIT_TABLES, Table

FUNCTIONS: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
HEADER = struct.Struct(">HHHB")
_REQUEST = struct.Struct(">HHHBBHH")
MAX_BODY = 254  # unit and 253 bytes of function and data: the standard's largest

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
DEVICE_FAILURE, ACKNOWLEDGE, BUSY = 4, 5, 6
GATEWAY_NO_PATH, GATEWAY_NO_ANSWER = 10, 11
WRONG_LENGTH = 0
"""Not a code of the standard: the response carried more or fewer values than requested."""

EXCEPTIONS = {
    WRONG_LENGTH: "wrong number of values",
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not answer",
}


class ExceptionResponse(Exception):
    """The device refused the request. code: its exception code, or `WRONG_LENGTH`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BusFault(Exception):
    """What is wrong on a bus. code: of the message catalogue (`fault.<code>`), values: for its placeholders."""

    def __init__(self, message: str, code: str, **values: object) -> None:
        super().__init__(message)
        self.code = code
        self.values = {name: str(value) for name, value in values.items()}


class PeerSilent(BusFault):
    """The peer accepted the connection and has never answered on it."""


class InvalidFrame(BusFault):
    """What was received is not Modbus, or belongs to another request: the stream is out of sync."""

    def __init__(self, message: str, code: str = "not_modbus", **values: object) -> None:
        super().__init__(message, code, **values)


class UnfitResponse(InvalidFrame):
    """A whole response that does not fit its request; the stream is in sync, and the next one may fit."""


def request_frame(transaction: int, unit: int, table: Table, start: int, count: int) -> bytes:
    """A request for `count` addresses of `table` from `start`."""
    return _REQUEST.pack(transaction, 0, 6, unit, FUNCTIONS[table], start, count)


def head(data: bytes) -> tuple[int, int, int]:
    """The seven bytes of a header as (transaction, unit, bytes that follow)."""
    transaction, protocol, length, unit = HEADER.unpack(data)
    if protocol != 0 or not 2 < length <= MAX_BODY:
        raise InvalidFrame(f"header {data.hex(' ')} is not Modbus TCP (protocol {protocol}, length {length})")
    return transaction, unit, length - 1


def response_values(body: bytes, table: Table, start: int, count: int) -> bytes:
    """The bytes of the values in a response's body (function and data), checked against the request."""
    function, what = FUNCTIONS[table], f"{table} {start}-{start + count - 1}"
    if body[0] == function | 0x80:  # some pad it to the length of a request
        raise ExceptionResponse(body[1], f"{what}: {EXCEPTIONS.get(body[1], 'exception')} (code {body[1]})")
    if body[0] != function:
        text = f"{what}: function {function} asked, {body[0]} answered"
        raise UnfitResponse(text, "unfit_response")
    expected = (count + 7) // 8 if table in BIT_TABLES else 2 * count
    if body[1] != expected or len(body) != expected + 2:
        raise ExceptionResponse(WRONG_LENGTH, f"{what}: {len(body) - 2} bytes answered instead of {expected}")
    return body[2:]
