"""The commands `nhip key`, and `nhip user reset-second-factor`."""

from pathlib import Path

import click

from center.commands.accounts import _center, _change, user
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


@user.command("reset-second-factor")
@_center
@click.argument("name")
@lang_option
def reset_second_factor(center: Path, name: str, lang: str) -> None:
    """Takes a person's second factor away, as for a lost telephone; sessions of the account end."""
    from center.accounts import second_factor
    from words import say

    _change(center, lang, lambda engine, now_ns, actor: second_factor.reset(engine, now_ns, actor, name))
    click.echo(say("second.was_reset", lang, name=name))


COMMANDS = (key,)
