"""One night's run: every machine is looked at, then what was seen is judged together.

One machine's columns are in memory at a time. A run that was interrupted goes on where it stopped, and a run that is
repeated changes nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Final

from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database import findings
from center.database.findings import Night
from center.model.kept_finding import KeptFinding
from center.runtime.advice.stored_beside import NightBeside
from center.runtime.advice.stored_past import StoredPast, machines_with_past
from center.runtime.state import CenterState
from oee.advice.catalogue import significant
from oee.advice.life import next_records, open_rules, since
from oee.advice.look import SHORT_WEEKS, look
from oee.advice.window import DAY_NS
from oee.model.calendars import to_ns

CATCH_UP_WEEKS: Final = 8
_WEEK_NS: Final = 7 * DAY_NS
_LEAST_NS: Final = 3 * _WEEK_NS
LATE_H: Final = 1.5
"""So long after midnight the rows of the evening are there."""
OnMachine = Callable[[str, int, int], bool]
"""Called before each machine with its id, how many are done and how many there are; False ends the run."""


def night_of(now_ns: int, zone: tzinfo) -> int:
    """The last local midnight whose night may begin [ns UTC]."""
    late = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(zone) - timedelta(hours=LATE_H)
    return to_ns(late.replace(hour=0, minute=0, second=0, microsecond=0))


def nights_until(center: CenterState, engine: Engine, night_ns: int, site: str = "") -> list[int]:
    """The nights to run, the oldest first: this one, and before it one a week since the last look, eight weeks at most. So a
    center that begins with history, or was off, confirms by what it has, and does not wait for two weeks first.

    site: only as far as its own machines are concerned. Raises `StoreUnavailable`.
    """
    sites = center.ledger_cache.sites
    owners = [sites.owner(*item) for item in machines_with_past(sites) if site in ("", item[0])]
    first_ns = min((owner.first_ns for owner in owners if owner and owner.first_ns > 0), default=night_ns)
    latest_ns = findings.latest_look(engine, site)
    done = findings.done_nights(engine)
    weekly = [night_ns - k * _WEEK_NS for k in range(CATCH_UP_WEEKS, 0, -1)]
    wanted = [item for item in weekly if item >= max(latest_ns, first_ns + _LEAST_NS) and item not in done]
    return [*wanted, night_ns]


def run_nights(
    center: CenterState, engine: Engine, night_ns: int, on_machine: OnMachine, site: str = ""
) -> list[KeptFinding] | None:
    """All nights of `nights_until`; otherwise as `run_night`."""
    out: list[KeptFinding] | None = None
    for item_ns in nights_until(center, engine, night_ns, site):
        out = run_night(center, engine, item_ns, on_machine, site)
        if out is None:
            return None
    return out


def run_night(
    center: CenterState, engine: Engine, night_ns: int, on_machine: OnMachine, site: str = ""
) -> list[KeptFinding] | None:
    """The whole night; what becomes of all findings, or None if it was ended before it was done.

    site: only this one; tests of others count if this night has looked at them already, and it is not marked as done.
    Raises `StoreUnavailable`; then it may be called again.
    """
    machines = [item for item in machines_with_past(center.ledger_cache.sites) if site in ("", item[0])]
    done, beside = findings.looked_at(engine, night_ns), NightBeside(center, engine)
    for index, (of_site, machine) in enumerate(machines):
        if not on_machine(machine, index, len(machines)):
            return None
        if (of_site, machine) not in done:
            _look_or_tell(center, engine, night_ns, of_site, machine, beside)
    return judge(engine, night_ns, center.now_ns(), machines, whole=not site)


def _look_or_tell(
    center: CenterState, engine: Engine, night_ns: int, site: str, machine: str, beside: NightBeside
) -> None:
    """Looks at a machine; what nobody expected of one must not keep the others from being looked at. It is counted, and
    shown in the center's health, and the next night tries again.
    """
    try:
        look_at_machine(center, engine, night_ns, site, machine, beside)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # counted and shown
        center.health.count("advice_errors")
        center.health.set_condition("advice_machine", f"{site}/{machine}: {type(error).__name__}: {error}")
    else:
        if center.health.condition("advice_machine").startswith(f"{site}/{machine}: "):
            center.health.set_condition("advice_machine", "ok")


def look_at_machine(
    center: CenterState, engine: Engine, night_ns: int, site: str, machine: str, beside: NightBeside
) -> None:
    """The first half of the night for one machine. One without a calendar is passed over. Raises `StoreUnavailable`."""
    past = StoredPast(center, site, machine, night_ns, beside)
    if past.calendar is None:
        return
    records = [item.record for item in findings.kept_findings(engine, [site], machine=machine)]
    seen = look(
        past.window,
        since(records),
        holes=past.holes(past.start_ns(SHORT_WEEKS)),
        open_findings=open_rules(records),
    )
    findings.write_look(engine, night_ns, site, seen)


def judge(
    engine: Engine, night_ns: int, now_ns: int, machines: list[tuple[str, str]], *, whole: bool = True
) -> list[KeptFinding]:
    """The second half: the correction for all tests of the night, then each machine's findings. Raises
    `StoreUnavailable`.
    """
    tests = list(findings.tests_of(engine, night_ns))
    kept = significant([(identity[0], p, passes) for _, _, identity, p, passes in tests])
    by_machine: dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]] = {}
    for (site, machine, identity, _, _), is_kept in zip(tests, kept, strict=True):
        if is_kept:
            by_machine.setdefault((site, machine), set()).add(identity)
    out: list[KeptFinding] = []
    for site, machine in machines:
        seen = findings.look_at(engine, site, machine)
        if seen is None or seen.end_ns != night_ns:
            continue
        forward = partial(next_records, seen=seen, significant=by_machine.get((site, machine), set()))
        out += findings.advance(engine, night_ns, site, machine, forward)
    if whole:
        findings.end_night(
            engine, Night(night_ns, now_ns, len(machines), sum(1 for item in tests if item[3] is not None))
        )
    return out
