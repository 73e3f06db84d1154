"""What the demo's people did: an action against late shifts at sew-1, registered a month ago, that the nights judge.

The simulated shifts do begin in time from then on (`simulator.demo.MENDED_DAYS_AGO`). Only the record is put into the past: it
is drafted and frozen by the functions that the console calls, and what it brought is measured like everybody's.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from center.database.actions import change_action, new_action, prepare_actions
from center.database.findings import open_findings
from center.model.kept_action import KeptAction
from config import load_center
from oee.advice.gain.action import ActionRecord, ActionTerms, registered
from oee.advice.gain.plan import SETTLE_DAYS, Days, GainPlan
from simulator.demo import MENDED_DAYS_AGO
from words import say

SITE: Final = "song-hong"
MACHINE: Final = "sew-1"
CONTROLS: Final = ("cnc-2", "pack-1")
LEAST_HISTORY_DAYS: Final = 50
EXPECTED_MIN: Final = 130.0


def mended_plan(now: datetime, history_days: int) -> GainPlan:
    """The plan of the action, at a local time."""
    today = now.date()
    work = today - timedelta(MENDED_DAYS_AGO)
    return GainPlan(
        site=SITE,
        machines=(MACHINE,),
        metric="edge",
        part="shift_start",
        before=Days(today - timedelta(history_days - 1), work - timedelta(1)),
        work=Days(work, work),
        after=Days(work + timedelta(SETTLE_DAYS + 1), today - timedelta(4)),
        controls=CONTROLS,
        expected_min=EXPECTED_MIN,
    )


def write_action(center_file: Path, now: datetime, history_days: int, lang: str) -> None:
    """Puts the action into the center's database before it starts; nothing where there is too little history to judge it.

    now: local time of the site.
    """
    if history_days < LEAST_HISTORY_DAYS:
        return
    plan = mended_plan(now, history_days)
    what, owner, method, cause = (say(f"demo.mended.{key}", lang) for key in ("what", "owner", "method", "cause"))
    terms = ActionTerms(what, owner, method, cause)
    at_ns = int((now - timedelta(MENDED_DAYS_AGO + 1)).timestamp()) * 10**9
    who = say("demo.mended.who", lang)
    engine = open_findings(load_center(center_file).database_url)
    try:
        prepare_actions(engine)
        item = new_action(engine, SITE, ActionRecord(terms, plan), who, at_ns, _silent)
        assert item is not None  # it is against no finding, so none can be missing
        step: Callable[[ActionRecord], ActionRecord] = partial(registered, told=None, by=who, now_ns=at_ns)
        change_action(engine, item.id, step, "registered", "", who, at_ns, _silent)
    finally:
        engine.dispose()


def _silent(_connection: Connection, _kind: str, _item: KeptAction, _text: str) -> None:
    """The audit trail is about people who use the center; nobody did yet."""
