"""The command `nhip key`: the key that signs cookies and the passes of commands."""

from pathlib import Path

import click

from center.commands.accounts import _center, _change
from cli.options import lang_option


@click.group()
def key() -> None:
    """The key with which the center signs cookies and the passes of commands."""


@key.command("renew")
@_center
@lang_option
def renew(center: Path, lang: str) -> None:
    """Makes a new key: everybody logs in again, and what was signed with the old one counts no more."""
    from center.accounts import keys
    from words import say

    _change(center, lang, keys.renew)
    click.echo(say("key.renewed", lang))


COMMANDS = (key,)
