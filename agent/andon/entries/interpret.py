"""From an entry to the declarations that follow from it. Pure: it is given the time and everything that is known.

`interpret` decides; whoever calls it reads the situation and writes the result in one transaction, so that two tablets
are decided one after the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from agent.andon.entries.answers import answers, seen, split, withdrawals
from agent.andon.entries.counts import PeriodCount, fewer, more, whole
from agent.andon.entries.forms import (
    CallForm,
    CountForm,
    Form,
    MaintainedForm,
    NoteForm,
    PlannedStopForm,
    ProductForm,
    ReasonForm,
    StateForm,
    StepForm,
    TakeBackForm,
)
from agent.outbox.entries import AndonEntry
from oee.kpi.maintenance import PlannedTask, due_between
from oee.kpi.shift import ShiftSpan
from oee.model.calls import CallEvent, calls_of, next_steps
from oee.model.declarations import ENTRIES, Declaration, Field, entries
from oee.model.facts import MS_NS, Stop
from oee.model.machine import OPERATOR, Machine

NOTICES: Final = ("call", "step", "note", "maintained")
"""Kinds that the center learns of besides numbers."""
_MINUTE_NS: Final = 60_000_000_000
BY: Final = "andon/"
"""Before the name of a tablet, where somebody asks who said it."""


@dataclass(frozen=True)
class Offer:
    """What people may enter at a machine: ids of reasons, products, calls, and causes of rejects; tasks of the maintenance plan by id."""

    machine: Machine
    reasons: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    tasks: Mapping[str, PlannedTask] = field(default_factory=dict)

    @property
    def counts(self) -> tuple[str, ...]:
        """What people count here: `rejects`, `rework`."""
        pieces = self.machine.pieces
        named = (("rejects", pieces.reject), ("rework", pieces.rework))
        return tuple(field for field, counter in named if counter == OPERATOR)

    @property
    def product_by_hand(self) -> bool:
        """Whether people say which product is made."""
        return self.machine.product_tag == OPERATOR


@dataclass(frozen=True)
class Situation:
    """What is known of a machine when an entry comes. now_ns: gateway time; shifts: the current shift (or the last one)
    and the one before it; stops: as `MachineTally.stops`; since_ns: when what the machine does now began, None if it runs;
    entries: of the last days, in the order in which they came; declarations: of the last days, by id.
    """

    offer: Offer
    now_ns: int
    shifts: Sequence[ShiftSpan]
    stops: Mapping[str, Stop]
    since_ns: int | None
    entries: Sequence[AndonEntry]
    declarations: Mapping[str, Declaration]


@dataclass(frozen=True)
class Refused:
    """The entry cannot be followed. why: a key of the page's words."""

    why: str


@dataclass(frozen=True)
class Accepted:
    """The entry as it is kept, and the declarations that follow. overtaken: the id of the answer that came first, ""."""

    entry: AndonEntry
    declarations: tuple[Declaration, ...] = ()
    overtaken: str = ""


def interpret(form: Form, here: Situation) -> Accepted | Refused:
    """What follows from an entry that is new."""
    at_ns = here.now_ns - form.ago_ms * MS_NS
    match form:
        case ReasonForm() | StateForm():
            return _answer(form, here, at_ns)
        case CountForm():
            return _count(form, here, at_ns)
        case ProductForm():
            return _product(form, here, at_ns)
        case PlannedStopForm():
            return _planned_stop(form, here, at_ns)
        case CallForm():
            known = form.value in here.offer.calls
            return _accepted(form, here, at_ns) if known else Refused("unknown_call")
        case StepForm():
            return _step(form, here, at_ns)
        case NoteForm():
            return _accepted(form, here, at_ns)
        case MaintainedForm():
            task = here.offer.tasks.get(form.value)
            due = task is not None and bool(due_between(task, form.due, form.due, {}))
            return _accepted(form, here, at_ns) if due else Refused("unknown_task")
        case TakeBackForm():
            return _take_back(form, here, at_ns)


def _accepted(form: Form, here: Situation, at_ns: int, declared: Iterable[Declaration] = ()) -> Accepted:
    """Numbers the declarations and says who made them, and when."""
    numbered = tuple(
        replace(item, id=f"{form.id}.{number}", made_ns=here.now_ns + number, who=f"{BY}{form.tablet}")
        for number, item in enumerate(declared)
    )
    data = form.model_dump(exclude={"id", "machine", "kind", "ago_ms"}, mode="json", exclude_defaults=True)
    notice = form.kind in NOTICES or bool(data.get("cause"))
    ids = tuple(item.id for item in numbered)
    return Accepted(AndonEntry(form.id, at_ns, form.machine, form.kind, data, ids, int(notice)), numbered)


def _declaration(
    form: Form, field: Field, start_ns: int, end_ns: int | None, value: str, product: str = ""
) -> Declaration:
    return Declaration("", 0, form.machine, start_ns, end_ns, field, value, "", product)


def _answer(form: ReasonForm | StateForm, here: Situation, at_ns: int) -> Accepted | Refused:
    stop = here.stops.get(str(form.stop_ms))
    before = answers(here.entries).get(form.stop_ms)
    if form.saw != seen(stop, before):
        kept = _accepted(form, here, at_ns)
        other = before.id if before else f"={stop.reason}" if stop else ""
        return replace(
            kept, entry=replace(kept.entry, data={**kept.entry.data, "overtaken": other or "?"}), overtaken=other or "?"
        )
    end_ns = stop.end_ns if stop else None
    if isinstance(form, StateForm):
        declared = [_declaration(form, "state", form.stop_ms * MS_NS, end_ns, form.state)]
    else:
        if unknown := [part.reason for part in form.parts if part.reason not in here.offer.reasons]:
            return Refused(f"unknown_reason {unknown[0]}")
        try:
            parts = split(form.stop_ms, [part.model_dump() for part in form.parts], end_ns, here.now_ns)
        except ValueError:
            return Refused("parts")
        declared = [_declaration(form, "reason", start_ns, until_ns, reason) for start_ns, until_ns, reason in parts]
    return _accepted(form, here, at_ns, [*_withdrawn(before, here, end_ns), *declared])


def _withdrawn(entry: AndonEntry | None, here: Situation, before_ns: int | None = None) -> list[Declaration]:
    """What withdraws an entry's declarations; those that only withdrew others themselves do not come back. before_ns: only
    those that begin before it: a stop with two reasons has become two, and the second keeps its own.
    """
    declared = [here.declarations[key] for key in entry.declared if key in here.declarations] if entry else []
    return withdrawals(item for item in declared if item.value and (before_ns is None or item.start_ns < before_ns))


def _count(form: CountForm, here: Situation, at_ns: int) -> Accepted | Refused:
    if form.kind not in here.offer.counts:
        return Refused("counted_by_machine")
    if form.cause and form.cause not in here.offer.causes:
        return Refused("unknown_cause")
    shift = shift_meant(form.shift_ms, form.back, here.shifts)
    if shift is None:
        return Refused("no_shift")
    until_ns = min(max(at_ns, shift.start_ns + MS_NS), shift.end_ns)
    in_force = _in_force(here, form.kind)
    if form.add is not None:
        since_ns = max(shift.start_ns, _product_since_ns(here, until_ns))
        counts = [more(in_force, form.add, since_ns=since_ns, at_ns=until_ns)]
    else:
        assert form.total is not None
        counts = [whole(in_force, form.total, start_ns=shift.start_ns, end_ns=until_ns)]
        if form.ends and until_ns < shift.end_ns:
            counts.append(PeriodCount(until_ns, shift.end_ns, 0))
    declared = [item for count in counts for item in _counted(form, form.kind, count)]
    return _accepted(form, here, at_ns, declared)


def shift_meant(shift_ms: int | None, back: int, shifts: Sequence[ShiftSpan]) -> ShiftSpan | None:
    """The shift that an entry is about, None if it is not among these (the latest first). shift_ms: when it began, as the
    tablet showed it: a tap may come a moment after the shift has changed; back: without it, so many shifts ago.
    """
    if shift_ms is not None:
        return next((shift for shift in shifts if shift.start_ns // MS_NS == shift_ms), None)
    return shifts[back] if back < len(shifts) else None


def _counted(form: Form, field: Field, count: PeriodCount) -> list[Declaration]:
    said = _declaration(form, field, count.start_ns, count.end_ns, str(count.count), count.product)
    return [*withdrawals(count.withdrawn), said]


def _in_force(here: Situation, field: Field) -> list[Declaration]:
    accepted, _ = entries(item for item in here.declarations.values() if item.field == field)
    return list(accepted)


def _product_since_ns(here: Situation, at_ns: int) -> int:
    """When people last said that another product is made, before that time."""
    said = (item.start_ns for item in here.declarations.values() if item.field == "product" and item.value)
    return max((start_ns for start_ns in said if start_ns < at_ns), default=0)


def _product(form: ProductForm, here: Situation, at_ns: int) -> Accepted | Refused:
    if form.kind == "product" and not here.offer.product_by_hand:
        return Refused("product_by_machine")
    if form.kind == "product" and form.value not in here.offer.products:
        return Refused("unknown_product")
    start_ns = here.since_ns if form.since_stop and here.since_ns is not None else at_ns
    return _accepted(form, here, at_ns, [_declaration(form, form.kind, start_ns, None, form.value)])


def _planned_stop(form: PlannedStopForm, here: Situation, at_ns: int) -> Accepted | Refused:
    if form.minutes is not None:
        end_ns = at_ns + form.minutes * _MINUTE_NS
        return _accepted(form, here, at_ns, [_declaration(form, "planned_stop", at_ns, end_ns, form.value)])
    if here.since_ns is None:
        return Refused("machine_runs")
    start_ns = max(here.since_ns, at_ns) if form.ago_ms else here.since_ns
    return _accepted(form, here, at_ns, [_declaration(form, "planned_stop", start_ns, None, form.value)])


def call_events(entries: Iterable[AndonEntry]) -> list[CallEvent]:
    """The steps of calls among these entries."""
    out = []
    for entry in entries:
        if entry.kind == "call":
            kind = str(entry.data["value"])
            out.append(CallEvent(entry.id, entry.machine, "called", entry.at_ns, kind, f"{BY}{entry.tablet}"))
        elif entry.kind == "step":
            step = str(entry.data["value"])
            out.append(CallEvent(str(entry.data["call"]), entry.machine, step, entry.at_ns, "", f"{BY}{entry.tablet}"))
    return out


def _step(form: StepForm, here: Situation, at_ns: int) -> Accepted | Refused:
    call = next((item for item in calls_of(call_events(here.entries)) if item.id == form.call), None)
    if call is None:
        return Refused("no_such_call")
    if form.value not in next_steps(call):
        return Refused("call_went_on")
    return _accepted(form, here, max(at_ns, call.called_ns))


def _take_back(form: TakeBackForm, here: Situation, at_ns: int) -> Accepted | Refused:
    entry = next((item for item in here.entries if item.id == form.entry), None)
    if entry is None or entry.kind in ("take_back", "call", "step"):
        return Refused("no_such_entry")
    if any(item.kind == "take_back" and item.data["entry"] == entry.id for item in here.entries):
        return Refused("taken_back_already")
    declared = [here.declarations[key] for key in entry.declared if key in here.declarations]
    if len(declared) < len(entry.declared):
        return Refused("too_long_ago")
    back = _uncounted(form, entry, declared, here) if entry.kind in ENTRIES else _withdrawn(entry, here)
    if back is None:
        return Refused("counted_otherwise")
    kept = _accepted(form, here, at_ns, back)
    return replace(kept, entry=replace(kept.entry, notice=int(bool(entry.notice))))


def _uncounted(
    form: Form, entry: AndonEntry, declared: Sequence[Declaration], here: Situation
) -> list[Declaration] | None:
    """What takes back a count: where nothing was built on it, what it replaced holds again. None if somebody has declared
    the same time otherwise since.
    """
    field: Field = "rejects" if entry.kind == "rejects" else "rework"
    in_force = _in_force(here, field)
    standing = {item.id for item in in_force}
    said = [item for item in declared if item.value]
    if all(item.id in standing for item in said):
        return withdrawals(said)
    add = entry.data.get("add")
    count = fewer(in_force, said[0], int(add)) if add else None
    return None if count is None else _counted(form, field, count)
