"""Commands about a site file: `nhip check`, `nhip init`, `nhip plan` and `nhip equipment`."""

import sys
from pathlib import Path
from typing import Any

import click

from cli.exits import leave
from cli.options import Duration, json_option, lang_option

_path = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("site", metavar="SITE.yaml", type=_path)
@click.option("--offline", is_flag=True)
@click.option("--for", "for_s", type=Duration(), default="10s", show_default=True)
@click.option("--count", "count_s", type=Duration())
@click.option("--machine", default="")
@click.option("--tally", "tally_text")
@click.option("--shortest-stop", type=Duration(), default="5s", show_default=True)
@click.option("--certificate", type=_path)
@click.option("--verified-by", default="")
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
@click.argument("site", metavar="SITE.yaml", type=_path)
@click.option("--answer", type=Duration(), default="20ms", show_default=True)
@json_option
@lang_option
def plan(site: Path, answer: float, as_json: bool, lang: str) -> None:
    """Shows the requests that the devices of SITE.yaml will receive, and the cycle time of each line."""
    from tools.plan.command import plan as show

    sys.exit(show(site, answer, as_json=as_json, lang=lang))


@click.command()
@click.argument("site_file", metavar="SITE.yaml", type=_path)
@click.option("--site", default="")
@click.option("--name", default="")
@click.option("--timezone", default="")
@click.option("--shift", "shifts", multiple=True)
@click.option(
    "--device",
    "devices",
    multiple=True,
)
@click.option("--tag", "tags", multiple=True)
@click.option("--machine", "machines", multiple=True)
@click.option(
    "--use",
    "uses",
    multiple=True,
)
@click.option("--product", default="")
@click.option("--ideal", default="")
@click.option("--broker", default="")
@click.option("--yes", is_flag=True)
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


COMMANDS = (equipment, init, check, plan)
