"""The command `nhip audit`: shows the audit trail, and checks that nobody has changed it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from center.commands.accounts import _center, _change, show_audit
from cli.options import json_option, lang_option
from cli.terminal import show_json


class _Showing(click.Group):
    """`nhip audit CENTER.yaml` is `nhip audit show CENTER.yaml`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named: Sequence[str] = [word for word in args if word in self.commands or word in ("-h", "--help")]
        return super().parse_args(ctx, args if named or not args else ["show", *args])


@click.group("audit", cls=_Showing)
def audit() -> None:
    """The audit trail: who changed what, when and from where."""


audit.add_command(show_audit)


@audit.command("verify")
@_center
@click.option("--head", default="", metavar="DIGEST")
@json_option
@lang_option
def verify(center: Path, head: str, as_json: bool, lang: str) -> None:
    """Checks that every entry is as it was written and that none is missing. Exit status 1 if not."""
    from center.accounts import audit as trail
    from words import say

    found: Any = _change(center, lang, lambda engine, *_: trail.verify(engine, head))
    if as_json:
        show_json(vars(found))
    elif found.broken is not None:
        click.echo(say("audit.broken", lang, number=found.broken, sound=found.entries))
    else:
        click.echo(say("audit.sound", lang, count=found.entries, head=found.head))
        if not found.has_head:
            click.echo(say("audit.other_head", lang, head=head))
    sys.exit(0 if found.broken is None and found.has_head else 1)


COMMANDS = (audit,)
