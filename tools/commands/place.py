"""The place of a Modbus device on the command line: a host with a port, or a serial port of this computer."""

import re
from typing import Any

import click


class HostOrSerialPort(click.ParamType[str]):
    """`192.168.1.10`, `192.168.1.10:502`, or a serial port such as `/dev/ttyUSB0`."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself; a usage error if it is neither."""
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
