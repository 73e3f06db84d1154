"""The command `nhip doctor`."""

import sys
from pathlib import Path

import click

from cli.options import json_option, lang_option

_path = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("site_file", metavar="SITE.yaml", type=_path, required=False)
@click.option("--outbox", type=_path)
@click.option("--user", default="")
@json_option
@lang_option
def doctor(site_file: Path | None, outbox: Path | None, user: str, as_json: bool, lang: str) -> None:
    """Says what this computer lacks for the agent of SITE.yaml, and what to do about it."""
    from tools.doctor.command import DoctorOptions, run

    sys.exit(run(DoctorOptions(site_file, outbox, user, as_json, lang)))


COMMANDS = (doctor,)
