"""The command `nhip recount`. What it runs is imported only when it is used."""

from pathlib import Path

import click

from cli.exits import fail, fail_misconfigured
from cli.options import json_option, lang_option
from cli.terminal import show_json

_EVER_NS = 2**62


@click.command()
@click.argument("center", metavar="CENTER.yaml", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--site", required=True)
@click.option("--from", "since", default="")
@click.option("--to", "until", default="")
@json_option
@lang_option
def recount(center: Path, site: str, since: str, until: str, as_json: bool, lang: str) -> None:
    """Adds up hours and days again, after somebody changed or deleted rows in the store by hand.

    With InfluxDB the center may run meanwhile; the embedded store belongs to the running center, so stop it first.
    """
    from center.contract.store import Recountable, StoreUnavailable
    from center.runtime.opening import open_store
    from config import Misconfigured, load_center
    from words import number, say

    try:
        start_ns, end_ns = _moment_ns(since, 0), _moment_ns(until, _EVER_NS)
    except ValueError as error:
        fail(say("recount.bad_time", lang, detail=error), 2)
    try:
        store = open_store(load_center(center))
        try:
            if not isinstance(store, Recountable):
                fail(say("recount.no_sums", lang), 1)
            hours = store.hours.recount(site, start_ns, end_ns)
        finally:
            store.close()
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    except StoreUnavailable as error:
        fail(say("hand.store_away", lang, detail=error), 1)
    if as_json:
        show_json({"site": site, "hours": hours})
    else:
        click.echo(say("recount.done" if hours else "recount.none", lang, site=site, count=number(hours, lang)))


def _moment_ns(text: str, default_ns: int) -> int:
    """A time as typed, in the zone of this computer where it names none."""
    from datetime import datetime

    from cli.times import parse_time

    if not text:
        return default_ns
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    return round(parse_time(text, zone).timestamp()) * 1_000_000_000


COMMANDS = (recount,)
