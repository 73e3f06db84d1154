"""Arguments of `nhip declare` and `nhip recompute`: the site file, the outbox, names and times. Imports are lazy."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.exits import MISCONFIGURED, fail, fail_misconfigured

if TYPE_CHECKING:
    from config import Site

T = TypeVar("T")
_path = click.Path(path_type=Path, dir_okay=False)


site_argument = click.argument("site_file", metavar="SITE.yaml", type=_path)
outbox_option = click.option("--outbox", type=_path)


def read_site(file: Path, lang: str) -> "Site":
    """The site file; a misconfigured one ends the command with a list of what is wrong."""
    from config import Misconfigured, load_site

    try:
        return load_site(file)
    except Misconfigured as error:
        fail_misconfigured(error, lang)


def outbox_and_site(file: Path) -> "tuple[Path, Site | None]":
    """The outbox that a person names by itself or by its site file, and that site file or the one beside the outbox; None
    where there is none that can be read.
    """
    from config import Misconfigured, load_site

    is_site = file.suffix in (".yaml", ".yml")
    site_file = file if is_site else file.with_suffix(".yaml")
    try:
        site = load_site(site_file) if site_file.is_file() else None
    except Misconfigured:
        site = None
    return (file.with_suffix(".outbox") if is_site else file), site


def say(key: str, lang: str, **values: Any) -> str:
    """A text of the message catalogue."""
    import words

    return words.say(key, lang, **values)


def refusal_text(why: str, site: "Site", lang: str) -> str:
    """Why a declaration was refused, as a sentence."""
    from zoneinfo import ZoneInfo

    import words

    return words.refusal(why, ZoneInfo(site.timezone), lang)


def require_known(what: str, value: str, known: Sequence[str], lang: str) -> None:
    """Ends the command if the name is unknown; what: machine, reason or product."""
    if value not in known:
        kind = say(f"declare.field.{what}", lang)
        fail(say("declare.unknown_value", lang, what=kind, value=value, known=", ".join(known)), MISCONFIGURED)


def parse_time(option: str, text: str, site: "Site", lang: str) -> int:
    """A time typed by a person [ns UTC, whole ms]; a time of day alone is its latest occurrence."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from cli.times import parse_past_time

    zone = ZoneInfo(site.timezone)
    try:
        parsed = parse_past_time(text, zone, datetime.fromtimestamp(time.time(), zone))
    except ValueError:
        fail(say("declare.bad_time", lang, option=option, value=text or "''"), MISCONFIGURED)
    return round(parsed.timestamp() * 1000) * 1_000_000


def or_fail(work: Callable[[], T], lang: str) -> T:
    """The result of `work` on the outbox; an error of the outbox ends the command."""
    from agent.outbox.disk import OutboxError

    try:
        return work()
    except OutboxError as error:
        fail(error.text(lang), MISCONFIGURED)


def site_time(t_ns: int, site: "Site", lang: str) -> str:
    """A time [ns UTC] in the site's time zone, as text."""
    from zoneinfo import ZoneInfo

    from cli.times import time_text

    return time_text(t_ns, ZoneInfo(site.timezone), lang)
