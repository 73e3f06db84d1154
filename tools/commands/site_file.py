"""Commands about a site file: `nhip check`, `nhip init`, `nhip plan` and `nhip equipment`."""

import sys
from pathlib import Path
from typing import Any

import click

from cli.exits import leave
from cli.options import Duration, json_option, lang_option

_path = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("site", type=_path)
@click.option("--offline", is_flag=True, help="Stop before connecting.")
@click.option("--for", "for_s", type=Duration(), default="10s", show_default=True, help="How long to read.")
@click.option(
    "--count", "count_s", type=Duration(), help="Then count pieces and stops for this long, together with a person."
)
@click.option("--machine", default="", help="Which machine to count.")
@click.option("--tally", "tally_text", help="The person's count, instead of asking: pieces=412,stops=3.")
@click.option(
    "--shortest-stop", type=Duration(), default="5s", show_default=True, help="Shorter stops are not compared."
)
@click.option("--certificate", type=_path, help="Write the commissioning record there (HTML, to print).")
@click.option("--verified-by", default="", help="Who compared the values with the machines' displays.")
@json_option
@lang_option
def check(
    site: Path, offline: bool, for_s: float, count_s: float | None, machine: str, tally_text: str | None,
    shortest_stop: float, certificate: Path | None, verified_by: str, as_json: bool, lang: str,
) -> None:  # fmt: skip
    """Reports what is wrong with SITE.yaml, then reads each tag: value, quality, age, whether it changes, and faults."""
    from tools.check.command import CheckOptions, run
    from tools.check.count import parse_hand_count

    try:
        tally = parse_hand_count(tally_text) if tally_text is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--tally") from error
    leave(run(site, CheckOptions(
        for_s, offline, as_json, count_s, shortest_stop, tally, machine, certificate, verified_by, lang)))  # fmt: skip


@click.command()
@click.argument("site", type=_path)
@click.option(
    "--answer", type=Duration(), default="20ms", show_default=True, help="Response time to assume for devices."
)
@json_option
@lang_option
def plan(site: Path, answer: float, as_json: bool, lang: str) -> None:
    """Shows the requests that the devices of SITE.yaml will receive, and the cycle time of each line."""
    from tools.plan.command import plan as show

    sys.exit(show(site, answer, as_json=as_json, lang=lang))


@click.command()
@click.argument("site_file", metavar="SITE.yaml", type=_path)
@click.option("--site", default="", help="Id of the site: lower-case letters, digits, hyphens.")
@click.option("--name", default="", help="Name of the site.")
@click.option("--timezone", default="", help="Time zone (default: Asia/Ho_Chi_Minh).")
@click.option("--shift", "shifts", multiple=True, help='For example "A mon-sat 06:00-14:00 10:00-10:15".')
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="plc=192.168.1.10:502/1, meter=/dev/ttyUSB0:9600:none/3 or inj=opc.tcp://192.168.1.20:4840",
)
@click.option("--tag", "tags", multiple=True, help='For example "plc.strokes: {holding: 100, type: uint32}".')
@click.option(
    "--machine", "machines", multiple=True, help='"press-1 line=stamping running=plc.running count=plc.strokes"'
)
@click.option(
    "--use",
    "uses",
    multiple=True,
    help='An equipment profile: "moxa-iologik-e1210 device=io-1 host=192.168.1.31" (nhip equipment lists them)',
)
@click.option("--product", default="", help="Name of product 1.")
@click.option("--ideal", default="", help="Ideal time of one piece of product 1, for example 1.2s.")
@click.option("--broker", default="", help="The center's broker, for example mqtts://mqtt.example.vn:8883.")
@click.option("--yes", is_flag=True, help="Do not ask; use flags and defaults only.")
@json_option
@lang_option
def init(site_file: Path, lang: str, **flags: Any) -> None:
    """Asks a few questions and writes a valid site file."""
    from tools.init.command import InitFlags
    from tools.init.command import init as write

    sys.exit(write(site_file, InitFlags(**flags), lang))


@click.command()
@click.argument("name", default="")
@json_option
@lang_option
def equipment(name: str, as_json: bool, lang: str) -> None:
    """Lists the equipment profiles, or shows one: sources, what it needs, lines for the site file."""
    from tools.equipment.command import show_all, show_one

    sys.exit(show_one(name, as_json=as_json, lang=lang) if name else show_all(as_json=as_json, lang=lang))


COMMANDS = (check, init, plan, equipment)
