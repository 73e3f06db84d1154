"""Commands about a device or a network: `nhip scan`, `nhip browse` and `nhip bytes`."""

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.exits import leave
from cli.options import Duration, NumberRanges, json_option, lang_option, said

TABLES = ("holding", "input", "coil", "discrete")
PORTS = (502, 4840)


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
            self.fail(said("cli.no_place", value=value), param, ctx)
        return text


_place = click.argument("place", metavar="HOST[:PORT]|RTU-PORT", type=HostOrSerialPort())
_timeout = click.option("--timeout", type=Duration(), default="1s", show_default=True)


def _line(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of a serial line, passed on as `serial`."""

    @functools.wraps(command)
    def with_serial(
        *, baud: tuple[int, ...], parity: tuple[str, ...], stop_bits: str, listen: float, echo: bool, framing: str,
        **rest: Any,
    ) -> None:  # fmt: skip
        from adapters.modbus.service.peers import Serial

        serial = Serial(baud, parity, int(stop_bits), listen, echo, framing == "rtu")
        command(serial=serial, **rest)

    for option in (
        click.option("--framing", type=click.Choice(("tcp", "rtu")), default="tcp", show_default=True),
        click.option("--echo", is_flag=True),
        click.option("--listen", type=Duration(), default="3s", show_default=True),
        click.option("--stop-bits", type=click.Choice(("1", "2")), default="1", show_default=True),
        click.option("--parity", type=click.Choice(("none", "even", "odd")), multiple=True),
        click.option("--baud", type=click.IntRange(300, 4_000_000), multiple=True),
    ):  # fmt: skip
        with_serial = option(with_serial)
    return with_serial


def _peers(place: str, unit: int, serial: Any, *, one: bool = False) -> Any:
    """The settings to try, or a usage error."""
    from pydantic import ValidationError

    from adapters.modbus.service.peers import peers_at

    try:
        return peers_at(place, unit, serial, one=one)
    except ValidationError as error:
        raise click.UsageError("; ".join(item["msg"] for item in error.errors(include_url=False))) from error


@click.group()
def scan() -> None:
    """Finds devices, units and registers, at a limited rate."""


@scan.command()
@_place
@click.option("--units", type=NumberRanges(255), default="1-10", show_default=True)
@click.option("--range", "span", type=NumberRanges(65535), default="0-999", show_default=True)
@click.option("--table", "tables", type=click.Choice(TABLES), multiple=True)
@click.option("--rate", type=click.FloatRange(0.1, 100), default=5, show_default=True)
@click.option(
    "--step",
    type=click.IntRange(1, 125),
    default=10,
    show_default=True,
)
@_timeout
@_line
@json_option
@lang_option
def modbus(
    place: str, units: tuple[int, ...], span: tuple[int, ...], tables: tuple[Any, ...], rate: float,
    step: int, timeout: float, serial: Any, as_json: bool, lang: str,
) -> None:  # fmt: skip
    """Which units answer at a Modbus server or on a serial line, and which registers exist.

    Uses functions 1-4 only, nothing is written. On a serial line (for example /dev/ttyUSB0) it listens first, and does
    not send where another master is active.
    """
    from adapters.modbus.service.reader import RateLimit
    from adapters.modbus.service.scan import ScanPlan
    from tools.scan.command import scan_modbus

    plan = ScanPlan(units, tables or TABLES, min(span), max(span), step)
    peers = _peers(place, 1, serial)
    sys.exit(scan_modbus(peers, plan, RateLimit(rate, timeout), as_json=as_json, lang=lang))


@scan.command()
@click.argument("cidr")
@click.option("--port", "ports", type=click.IntRange(1, 65535), multiple=True, default=PORTS, show_default=True)
@click.option("--rate", type=click.FloatRange(0.1, 100), default=20, show_default=True)
@click.option("--timeout", type=Duration(), default="1s", show_default=True)
@click.option("--yes", is_flag=True)
@json_option
@lang_option
def network(
    cidr: str, ports: tuple[int, ...], rate: float, timeout: float, yes: bool, as_json: bool, lang: str
) -> None:
    """Which hosts of a private network (at most a /24) listen on the ports of Modbus and OPC UA."""
    from tools.scan.command import scan_network

    sys.exit(scan_network(cidr, ports, rate, timeout, yes=yes, as_json=as_json, lang=lang))


@click.command()
@click.argument("url")
@click.option("--find", default="")
@click.option(
    "--as",
    "profile",
    default="",
    metavar="PROFILE",
)
@click.option("--depth", type=click.IntRange(1, 30))
@click.option("--node", default="i=85", show_default=True)
@click.option("--most", type=click.IntRange(1, 100_000))
@click.option("--user", default="")
@click.option("--password-file", default="")
@click.option("--security", default="None", show_default=True)
@click.option("--certificates", type=click.Path(path_type=Path, file_okay=False), default="nhip.certificates",
              show_default=True)  # fmt: skip
@json_option
@lang_option
def browse(
    url: str, find: str, profile: str, depth: int | None, node: str, most: int | None, user: str, password_file: str, security: str,
    certificates: Path, as_json: bool, lang: str,
) -> None:  # fmt: skip
    """Walks the OPC UA server at URL and prints tags ready for the site file."""
    from adapters.browsing import Walk
    from tools.browse.command import BrowseRequest
    from tools.browse.command import browse as run

    settings = {"security": security, "user": user if password_file else "", "password_file": password_file}
    login = None
    if user and not password_file:
        login = (user, click.prompt(said("cli.password"), hide_input=True, err=True))
    standard = Walk(node, 12, 20_000) if profile else Walk(node)  # state machines of companion models lie deep
    walk = Walk(node, depth or standard.depth, most or standard.most)
    request = BrowseRequest(url, settings, certificates, login, walk, find, profile)
    sys.exit(run(request, as_json=as_json, lang=lang))


@click.command("bytes")
@_place
@click.option("--holding", type=click.IntRange(0, 65535))
@click.option("--input", "input_", type=click.IntRange(0, 65535))
@click.option("--coil", type=click.IntRange(0, 65535))
@click.option("--discrete", type=click.IntRange(0, 65535))
@click.option(
    "--shows",
)
@click.option("--unit", type=click.IntRange(0, 255), default=1, show_default=True)
@click.option("--span", type=click.IntRange(1, 100))
@click.option("--watch", is_flag=True)
@click.option("--rate", type=click.FloatRange(0.1, 100), default=5, show_default=True)
@_timeout
@_line
@json_option
@lang_option
def find_bytes(
    place: str, holding: int | None, input_: int | None, coil: int | None, discrete: int | None, shows: str | None,
    unit: int, span: int | None, watch: bool,
    rate: float, timeout: float, serial: Any, as_json: bool, lang: str,
) -> None:  # fmt: skip
    """Finds type, byte order and factor of a register, or the bit of a lamp, from what the machine displays."""
    from adapters.modbus.service.reader import RateLimit
    from tools.byte_order.command import find
    from tools.byte_order.search import RegisterQuestion

    given = {"holding": holding, "input": input_, "coil": coil, "discrete": discrete}
    places = [(table, address) for table, address in given.items() if address is not None]
    if len(places) != 1:
        raise click.UsageError(said("cli.one_table"))
    ((table, address),) = places
    if shows is None and not watch:
        raise click.UsageError(said("cli.shows_or_watch"))
    (peer,) = _peers(place, unit, serial, one=True)
    span = span or (8 if table in {"holding", "input"} else 32)
    question = RegisterQuestion(peer, unit, table, address, span)  # type: ignore[arg-type]  # a table's name
    rate_limit = RateLimit(rate, timeout)
    leave(find(question, shows, rate_limit, watch=watch, as_json=as_json, lang=lang))


COMMANDS = (scan, find_bytes, browse)
