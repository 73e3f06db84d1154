"""What a machine's page shows, as plain JSON. Pure: it is given the time and everything that is known.

Times are milliseconds since 1970 UTC, so that a browser reads them exactly.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from agent.andon.entries.answers import ANSWERS, answers, reasons_by_use, seen, standing
from agent.andon.entries.counts import counted
from agent.andon.entries.interpret import Offer, call_events, shift_meant
from agent.andon.views.tally import MachineTally
from agent.outbox.entries import AndonEntry, EntryOutcome
from agent.view.asked import asked_ms, known_until, needs_answer
from oee.engine.step import MachineSnapshot
from oee.kpi.maintenance import due_between
from oee.kpi.shift import ShiftSpan, figures_of, last_shifts
from oee.kpi.targets import Target, aim, due_by_shift, due_by_takt
from oee.model.calendars import local_date, scheduled_ms
from oee.model.calls import calls_of, next_steps
from oee.model.declarations import ENTRIES, Declaration, effective, entries
from oee.model.facts import FACT, MS_NS, STATE_COLUMNS, UNKNOWN_PRODUCT, Int64, Stop
from oee.model.states import State

Json = dict[str, Any]
MOST_QUESTIONS: Final = 50
MOST_LISTED: Final = 60
_DAY_NS: Final = 86_400_000_000_000
_DUE_BACK: Final = timedelta(days=14)
"""As far as entries are looked at, less a day."""
_DUE_AHEAD: Final = timedelta(days=7)
_KPIS: Final = ("oee", "oee_low", "oee_high", "availability", "performance", "quality", "coverage")


@dataclass(frozen=True)
class AndonMachine:
    """A machine as its page knows it. remind_ns: how long before the end of a shift the page asks for rejects [ns];
    window_ns: how far back stops are asked about [ns].
    """

    offer: Offer
    line: str = ""
    targets: tuple[Target, ...] = ()
    formula: str = "nakajima"
    remind_ns: int = 0
    window_ns: int = 7 * _DAY_NS


@dataclass(frozen=True)
class Said:
    """What people entered at a machine. entries: of the last days, in the order in which they came; outcomes: by the id of
    an entry; declarations: of the last days, those that were not refused, by id.
    """

    entries: Sequence[AndonEntry] = ()
    outcomes: Mapping[str, EntryOutcome] | None = None
    declarations: Mapping[str, Declaration] | None = None


def recent_shifts(about: AndonMachine, now_ns: int) -> list[ShiftSpan]:
    """The current shift, or the last one while there is none, and the one before it; the latest first."""
    return last_shifts(about.offer.machine.calendar, now_ns, 2)


def live_view(live: MachineSnapshot | None) -> Json:
    """What a machine is doing; it changes every second."""
    if live is None:
        return {"state": State.UNKNOWN.word, "since_ms": None}
    return {
        "state": live.state.word,
        "since_ms": live.since_ns // MS_NS,
        "reason": live.reason,
        "product": "" if live.product == UNKNOWN_PRODUCT else live.product,
        "shift": live.shift,
        "calendar": live.calendar.word,
        "pieces": live.pieces,
    }


def machine_view(
    about: AndonMachine,
    tally: MachineTally,
    live: MachineSnapshot | None,
    said: Said,
    now_ns: int,
    watched_from: Callable[[int], int] = lambda start_ns: start_ns,
) -> Json:
    """Everything else: the shift and the one before it, questions, stops, entries, calls. watched_from: from when the machine
    was watched, of a time that begins then [ns].
    """
    shifts = recent_shifts(about, now_ns)
    given = answers(said.entries)
    kept = standing(said.entries)
    own = about.offer
    listed_since_ns = shifts[-1].start_ns if shifts else now_ns - _DAY_NS
    product = live.product if live else UNKNOWN_PRODUCT
    return {
        "shifts": [
            _shift(about, tally, item, shifts, said, product, watched_from(item.start_ns), now_ns) for item in shifts
        ],
        "questions": _questions(about, tally, live, given, now_ns),
        "stops": _stops(tally, given, said, listed_since_ns),
        "reasons": reasons_by_use(own.reasons, said.entries),
        "entries": _listed(kept, said, listed_since_ns),
        "calls": _calls(said.entries),
        "maintenance": _maintenance(about, kept, now_ns),
        "ask_rejects": _ask_rejects(about, tally, shifts, kept, now_ns),
        "products": list(own.products) if own.product_by_hand else [],
        "product": _declared_now(said, "product", now_ns),
        "order": _declared_now(said, "order", now_ns),
    }


def _maintenance(about: AndonMachine, kept: Sequence[AndonEntry], now_ns: int) -> list[Json]:
    """What is due at the machine about now and not said to be done, the most overdue first."""
    tasks = about.offer.tasks
    if not tasks:
        return []
    today = local_date(about.offer.machine.calendar.zone, now_ns)
    said = {(str(entry.data["value"]), str(entry.data["due"])) for entry in kept if entry.kind == "maintained"}
    rows = [
        {"task": key, "due": item.due.isoformat(), "until": item.until.isoformat(), "state": item.state(today)}
        for key, plan in tasks.items()
        for item in due_between(plan, today - _DUE_BACK, today + _DUE_AHEAD, {})
        if (key, item.due.isoformat()) not in said
    ]
    return sorted(rows, key=lambda row: (row["due"], row["task"]))


def _shift(
    about: AndonMachine,
    tally: MachineTally,
    shift: ShiftSpan,
    shifts: Sequence[ShiftSpan],
    said: Said,
    product: str,
    watched_ns: int,
    now_ns: int,
) -> Json:
    sums = tally.shift_sums(shift.business_date, shift.name)
    until_ns = known_until(tally.known_until_ns, now_ns)
    figures = figures_of(about.offer.machine.calendar, shift, sums, watched_ns, until_ns, about.formula)
    bars = tally.bars(shift.business_date, shift.name) if shift == shifts[0] else {}
    return {
        "name": shift.name,
        "date": (date(1970, 1, 1) + timedelta(days=shift.business_date)).isoformat(),
        "start_ms": shift.start_ns // MS_NS,
        "end_ms": shift.end_ns // MS_NS,
        "on": shift.holds(now_ns),
        "known_ms": figures.until_ns // MS_NS,
        "kpis": {key: None if (value := figures.kpis.values[key]) is None else round(value, 5) for key in _KPIS},
        "why": {key: why for key, why in figures.kpis.why_null.items() if key in _KPIS},
        "flags": list(figures.kpis.flags),
        "times": _times(sums),
        "bars": [[at_ns // MS_NS, _times(row)] for at_ns, row in bars.items()],
        "pieces": figures.pieces,
        "not_judged": figures.not_judged,
        "rejected": figures.rejects,
        "counts": {field: counted(_in_force(said, field), shift.start_ns, shift.end_ns) for field in ENTRIES},
        "causes": _causes(standing(said.entries), shifts, shift),
        "target": _target(about, tally, shift, product, max(shift.start_ns, watched_ns), now_ns),
    }


def _times(row: Int64) -> dict[str, int]:
    """Time by state [ms], zeros left out."""
    values = zip((state.word for state in State), (int(row[FACT[name]]) for name in STATE_COLUMNS), strict=True)
    return {word: ms for word, ms in values if ms}


def _in_force(said: Said, field: str) -> list[Declaration]:
    accepted, _ = entries(item for item in (said.declarations or {}).values() if item.field == field)
    return list(accepted)


def _shift_of(entry: AndonEntry, shifts: Iterable[ShiftSpan]) -> ShiftSpan | None:
    """The shift that an entry of pieces is about: the one when it was made, or the one before it; shifts: latest first."""
    begun = [item for item in shifts if item.start_ns <= entry.at_ns]
    return shift_meant(entry.data.get("shift_ms"), int(entry.data.get("back", 0)), begun)


def _causes(kept: Iterable[AndonEntry], shifts: Sequence[ShiftSpan], shift: ShiftSpan) -> dict[str, int]:
    """Pieces by cause that were entered for a shift."""
    out: dict[str, int] = {}
    for entry in kept:
        cause = str(entry.data.get("cause", ""))
        if cause and entry.kind in ENTRIES and _shift_of(entry, shifts) == shift:
            out[cause] = out.get(cause, 0) + int(entry.data.get("add") or 0)
    return out


def _target(
    about: AndonMachine, tally: MachineTally, shift: ShiftSpan, product: str, from_ns: int, now_ns: int
) -> Json:
    """What should have been made by now since `from_ns`, before which nobody counted: by the target of the shift, or else by
    takt, which is the ideal time where nobody has set one.
    """
    day, machine = date(1970, 1, 1) + timedelta(days=shift.business_date), about.offer.machine
    elapsed_ms = scheduled_ms(machine.calendar, from_ns, max(min(now_ns, shift.end_ns), from_ns))
    whole_ms = scheduled_ms(machine.calendar, shift.start_ns, shift.end_ns)

    def aimed(kind: str, key: str) -> float | None:
        return aim(about.targets, kind, line=about.line, machine=machine.id, product=key, day=day)

    def takt(key: str) -> float | None:
        return aimed("takt_s", key) or _ideal_s(about, key, shift.start_ns)

    pieces = aimed("pieces", product)
    takt_s = takt(product)
    if pieces is not None:
        due: float | None = due_by_shift(pieces, elapsed_ms, whole_ms)
        return {"by": "pieces", "pieces": round(pieces), "due": due, "takt_s": takt_s}
    time_ms = {
        key: int(row[[FACT[name] for name in STATE_COLUMNS]].sum() - row[FACT["planned_stop_ms"]])
        for key, row in tally.by_product(shift.business_date, shift.name).items()
    }
    planned_ms = int(tally.shift_sums(shift.business_date, shift.name)[FACT["planned_stop_ms"]])
    time_ms[product] = time_ms.get(product, 0) + max(elapsed_ms - planned_ms - sum(time_ms.values()), 0)
    due = due_by_takt(time_ms, {key: takt(key) for key in time_ms})
    return {"by": "takt" if aimed("takt_s", product) else "ideal", "pieces": None, "due": due, "takt_s": takt_s}


def _ideal_s(about: AndonMachine, product: str, at_ns: int) -> float | None:
    known = about.offer.machine.products.get(product)
    ideals = [ideal for ideal in known.ideals if ideal.since_ns <= at_ns] if known else []
    return ideals[-1].us / 1_000_000 if ideals else None


def _questions(
    about: AndonMachine,
    tally: MachineTally,
    live: MachineSnapshot | None,
    given: Mapping[int, AndonEntry],
    now_ns: int,
) -> list[Json]:
    """Stops that people are asked about, the latest first: beyond the limit, within scheduled time, not answered."""
    asked = {
        stop.start_ns: stop
        for stop in tally.stops.values()
        if needs_answer(stop) and stop.start_ns >= now_ns - about.window_ns and (stop.end_ns or now_ns) <= now_ns
    }
    if live and live.since_ns not in asked and not live.reason and live.state == State.UNPLANNED_STOP:
        # not stored yet
        asked[live.since_ns] = Stop("", "", live.since_ns, None, live.state, "", "", "", "", 0)
    out = []
    for start_ns, stop in sorted(asked.items(), reverse=True):
        length_ms = asked_ms(about.offer.machine, stop, now_ns)
        if start_ns // MS_NS in given or not length_ms:
            continue
        out.append(_question(stop, length_ms))
        if len(out) == MOST_QUESTIONS:
            break
    return out


def _question(stop: Stop, length_ms: int) -> Json:
    return {
        "stop_ms": stop.start_ns // MS_NS,
        "end_ms": None if stop.end_ns is None else stop.end_ns // MS_NS,
        "state": stop.state.word,
        "scheduled_ms": length_ms,
        "saw": "",
    }


def _stops(tally: MachineTally, given: Mapping[int, AndonEntry], said: Said, since_ns: int) -> list[Json]:
    """The longer stops of the shown shifts, the latest first, each with its answer."""
    shown = [stop for stop in tally.stops.values() if stop.end_ns is None or stop.end_ns > since_ns]
    out = []
    for stop in sorted(shown, key=lambda item: -item.start_ns)[:MOST_LISTED]:
        answer = given.get(stop.start_ns // MS_NS)
        row: Json = {
            "stop_ms": stop.start_ns // MS_NS,
            "end_ms": None if stop.end_ns is None else stop.end_ns // MS_NS,
            "state": stop.state.word,
            "reason": stop.reason,
            "by": stop.by,
            "saw": seen(stop, answer),
        }
        if answer is not None:
            row["answer"] = _entry(answer, said)
        out.append(row)
    return out


def _listed(kept: Sequence[AndonEntry], said: Said, since_ns: int) -> list[Json]:
    """What was entered in the shown shifts and can be taken back, the latest first."""
    shown = [entry for entry in kept if entry.at_ns >= since_ns and entry.kind not in ("take_back", "call", "step")]
    return [_entry(entry, said) for entry in reversed(shown[-MOST_LISTED:])]


def _entry(entry: AndonEntry, said: Said) -> Json:
    outcome = (said.outcomes or {}).get(entry.id) or EntryOutcome("done")
    row: Json = {
        "id": entry.id,
        "kind": entry.kind,
        "at_ms": entry.at_ns // MS_NS,
        **entry.data,
        "outcome": outcome.state,
    }
    if outcome.why:
        row["why"] = outcome.why
    if entry.kind in ANSWERS:
        row["stop_ms"] = int(entry.data["stop_ms"])
    return row


def _calls(said: Iterable[AndonEntry]) -> list[Json]:
    """Open calls, the oldest first."""
    return [
        {
            "id": call.id,
            "kind": call.kind,
            "step": call.step,
            "by": call.by,
            "at_ms": {step: at_ns // MS_NS for step, at_ns in call.at_ns.items()},
            "next": list(next_steps(call)),
        }
        for call in calls_of(call_events(said))
        if call.ended_ns is None
    ]


def _ask_rejects(
    about: AndonMachine, tally: MachineTally, shifts: Sequence[ShiftSpan], kept: Iterable[AndonEntry], now_ns: int
) -> int | None:
    """How many shifts ago the shift is whose rejects nobody has confirmed yet, near its end; None if none is asked about."""
    if "rejects" not in about.offer.counts or not about.remind_ns:
        return None
    for back, shift in enumerate(shifts):
        near = shift.end_ns - about.remind_ns <= now_ns < shift.end_ns + about.remind_ns
        made = int(tally.shift_sums(shift.business_date, shift.name)[FACT["pieces_total"]])
        if near and made and not any(_confirms(entry, shifts, shift) for entry in kept):
            return back
    return None


def _confirms(entry: AndonEntry, shifts: Sequence[ShiftSpan], shift: ShiftSpan) -> bool:
    if entry.kind != "rejects" or "total" not in entry.data or _shift_of(entry, shifts) != shift:
        return False
    return bool(entry.data.get("ends")) or entry.at_ns >= shift.end_ns


def _declared_now(said: Said, field: str, now_ns: int) -> str:
    """The product or order that people last said is made now; "" if none."""
    in_force = [
        item
        for item in effective((said.declarations or {}).values())
        if item.field == field and item.start_ns <= now_ns and (item.end_ns is None or now_ns < item.end_ns)
    ]
    return max(in_force, key=lambda item: (item.made_ns, item.id)).value if in_force else ""
