"""The command `nhip verify`."""

import sys
from pathlib import Path

import click

from cli.options import json_option, lang_option

_path = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("files", metavar="FILE...", type=_path, nargs=-1, required=True)
@click.option("--key", type=_path)
@click.option("--sums", type=_path)
@json_option
@lang_option
def verify(files: tuple[Path, ...], key: Path | None, sums: Path | None, as_json: bool, lang: str) -> None:
    """Says whether files are what their packager signed, by the public key of the version that is installed."""
    from tools.verify.command import VerifyOptions, run

    sys.exit(run(files, VerifyOptions(key, sums, as_json, lang)))


COMMANDS = (verify,)
