"""What is typed on the command line, as click takes it: places and ranges."""

import re
from typing import Any

import click


class Place(click.ParamType[str]):
    """`192.168.1.10`, `192.168.1.10:502`, or a serial port such as `/dev/ttyUSB0`."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself, if it names a place."""
        from adapters.modbus.service.peers import is_serial_port

        text = str(value)
        if is_serial_port(text):
            return text
        match = re.fullmatch(r"[\w.-]+(?::(\d{1,5}))?", text)
        if match is None or not 0 < int(match[1] or 502) < 65536:
            self.fail(
                f"{value!r} is no address; write for example 192.168.1.10, 192.168.1.10:502 or /dev/ttyUSB0", param, ctx
            )
        return text


class Numbers(click.ParamType[tuple[int, ...]]):
    """`1-10,255`, each within 0 and `most`."""

    name = "numbers"

    def __init__(self, most: int) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Each number once, in the order given."""
        if isinstance(value, tuple):
            return value
        out: list[int] = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part)
            if match is None or not int(match[1]) <= int(match[2] or match[1]) <= self._most:
                self.fail(f"{part!r} is no range within 0-{self._most}; write for example 1-10 or 1,5,9", param, ctx)
            out += range(int(match[1]), int(match[2] or match[1]) + 1)
        return tuple(dict.fromkeys(out))
