"""The nightly half of actions: what is due is judged, and what is being measured is kept up to date.

Each action is judged in a transaction of its own, once: a run that was interrupted goes on, and a run that is repeated
changes nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine

from center.contract.store import StoreUnavailable
from center.database import actions
from center.model.kept_action import KeptAction
from center.runtime.advice.measured_past import PlanPast, site_today
from center.runtime.state import CenterState
from oee.advice.gain.action import ActionRecord, due, is_measured, judged
from oee.advice.gain.verdict import DaySeries

JUDGE: Final = "nhip"
"""Who judges, in the history of an action."""
OnAction = Callable[[str, int, int], bool]
"""Called before each action with its id, how many are done and how many there are; False ends the run."""


def run_actions(center: CenterState, engine: Engine, on_action: OnAction, site: str = "") -> bool:
    """Judges every action that is due, and brings up to date what is being measured; False if it was ended before. Raises
    `StoreUnavailable`; then it may be called again.
    """
    sites = [site] if site else center.ledger_cache.sites.ids()
    waiting = [item for item in actions.kept_actions(engine, sites) if item.record.registered]
    for index, item in enumerate(waiting):
        if not on_action(item.id, index, len(waiting)):
            return False
        _judge_or_tell(center, engine, item)
    return True


def _judge_or_tell(center: CenterState, engine: Engine, item: KeptAction) -> None:
    """What nobody expected of one action must not keep the others from being judged. It is counted and shown."""
    try:
        judge_action(center, engine, item)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # counted and shown
        center.health.count("action_errors")
        center.health.set_condition("action", f"{item.site}/{item.id}: {type(error).__name__}: {error}")
    else:
        if center.health.condition("action").startswith(f"{item.site}/{item.id}: "):
            center.health.set_condition("action", "ok")


def judge_action(center: CenterState, engine: Engine, item: KeptAction) -> None:
    """Judges what is due of one action now. Raises `StoreUnavailable`."""
    today = site_today(center, item.site)
    now_ns = center.now_ns()
    record = item.record
    while waiting := due(record, today):
        what = waiting[0]
        plan = replace(what.plan, after=what.plan.check_window(what.months)) if what.months else what.plan
        verdict = PlanPast(center, engine, plan).verdict()
        step = partial(judged, what=what, verdict=verdict, now_ns=now_ns)
        newest = what.number == len(record.registered) - 1
        kind = "checked" if what.months else "judged" if newest else "judged_first"
        changed = actions.change_action(engine, item.id, step, kind, verdict.result, JUDGE, now_ns, _silent)
        if changed is None or changed.record == record:
            return
        record = changed.record
    if is_measured(record):
        progress = PlanPast(center, engine, record.plan).progress()
        actions.change_action(engine, item.id, partial(_seen, progress, record), "", "", JUDGE, now_ns, _silent)


def _seen(progress: DaySeries | None, of: ActionRecord, record: ActionRecord) -> ActionRecord:
    """The record with what was measured so far, unless its plan was changed meanwhile."""
    return replace(record, progress=progress) if record.plan == of.plan and is_measured(record) else record


def _silent(_connection: Connection, _kind: str, _item: KeptAction, _text: str) -> None:
    """The history says what the nights did; the audit trail is about people."""
