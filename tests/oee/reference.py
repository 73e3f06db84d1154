"""A slow second opinion on the engine: every second one by one, written from the definitions and not from the code.

All times are whole seconds. Nothing of `oee` is used but the plain data types that describe a machine; conditions
come as Python functions beside the machine's rules. `reference()` walks through the stages in the order of the
design: values held, raw states, gaps between pieces, debouncing, declared and coded reasons, set-ups, minor stops,
and at last sums by minute, calendar class, business date, shift and product.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from reference_books import (
    NOT_STOPPED,
    Books,
    Result,
    S,
    Seconds,
    counters_of,
    gives,
    ideal_s,
    judges,
    multiple,
    per_count,
    whole_roles,
)
from reference_counts import steps

from oee.model.machine import Machine
from oee.model.states import CalendarClass, Quality, State

SET_UP_OVER = (State.RUNNING, State.UNPLANNED_STOP, State.STARVED, State.BLOCKED, State.SETUP)


def negate(a):
    return None if a is None else not a


def both(a, b):
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def either(a, b):
    return negate(both(negate(a), negate(b)))


def reference(machine: Machine, conditions, rows, end, said=()) -> Result:
    """rows: tag to `(second, value, quality)` in order. conditions: one per rule, of a function tag -> value or None.
    said: declarations `(start, end, field, value)` in the order made, machine time in seconds.
    """
    start = min((series[0][0] for tag, series in rows.items() if series and tag in machine.tags()), default=end)
    window = range(start, end)
    if not window:
        return Result({}, {}, [], set())
    rows = {tag: [row for row in series if row[0] < end] for tag, series in rows.items()}
    held = {tag: hold(series, window) for tag, series in rows.items()}
    state = raw_states(machine, conditions, held, window)
    able = {t for t in window if state[t] in (State.RUNNING, State.UNKNOWN)}
    pieces = [
        p
        for role, counter in counters_of(machine)
        for p in steps(machine, role, counter, rows.get(counter.tag, []), able)
    ]
    pieces.sort(key=lambda piece: piece.t)
    asked = register_products(machine, rows, window)
    hold_over_outages(asked, machine, rows, pieces, window)
    reason = Seconds(dict.fromkeys(window, ""))
    lay_gaps(machine, state, pieces, rows, asked, window)
    product = next_stop_products(asked, state, window) if machine.product_change == "next_stop" else asked
    for piece in pieces:
        piece.count *= multiple(machine, piece.role, product[piece.t - 1])
    debounce(machine, state, window)
    personal = declare(machine, state, reason, said, window)
    reasons_from_tag(machine, state, reason, rows, window)
    whole = [counter.tag for role, counter in counters_of(machine) if role in whole_roles(machine)]
    watched = Seconds({t: bool(whole) and all(held[tag][t] is not None for tag in whole) for t in window})
    setups = find_setups(machine, state, pieces, product, said, window, watched)
    for first, last in setups:
        for t in range(first, last if last is not None else end):
            if state[t] in SET_UP_OVER and not reason[t] and not personal[t]:
                state[t] = State.SETUP
    calendar = Seconds({t: calendar_at(machine.calendar, t) for t in window})
    touching = {last for _, last in setups} & {first for first, _ in setups}
    join_faults(state, reason, personal, calendar, window)
    stops = judge_minor(machine, state, reason, calendar, window, touching)
    edges = [(first, last) for first, last, _ in stops]
    books = Books(machine, state, reason, product, calendar, window, watched, edges)
    books.time()
    books.pieces(verdicts_with_their_pieces(machine, pieces, calendar, setups), setups)
    for first, last, kind in stops:
        books.stop(first, last, kind)
    return books.result(touching)


def verdicts_with_their_pieces(machine, pieces, calendar, setups):
    """A reject (beside a total) counted when its break, shift, time outside or set-up has seen no piece is about the last
    piece that somebody saw being made."""
    out, last = [], None
    by_second = {t: [p for p in pieces if p.t == t] for t in dict.fromkeys(p.t for p in pieces)}
    for t, together in by_second.items():
        if any(gives(machine, p)[0] and p.lost is None for p in together):
            last = t
        for piece in together:
            verdict = not gives(machine, piece)[0] and piece.lost is None
            earlier = verdict and last is not None
            late = earlier and any(last <= a < t and (b is None or t < b) for a, b in setups)
            there = last if earlier and (late or calendar[last] != calendar[t]) else t
            out.append(replace(piece, t=there))
    return sorted(out, key=lambda piece: piece.t)


def hold(series, window):
    """The value in effect at each second, None while it is not known."""
    out, waiting, now = Seconds(), list(series), None
    for t in window:
        while waiting and waiting[0][0] <= t:
            _, value, quality = waiting.pop(0)
            now = value if quality <= Quality.UNCERTAIN else None
        out[t] = now
    return out


def register_products(machine, rows, window):
    """The product of each second: a gap keeps it, a value that the device calls bad makes it `?`."""
    out, now = Seconds(), "?"
    waiting = list(rows.get(machine.product_tag, []))
    for t in window:
        while waiting and waiting[0][0] <= t:
            _, value, quality = waiting.pop(0)
            if quality != Quality.GAP:
                now = str(value) if quality <= Quality.UNCERTAIN else "?"
        out[t] = now
    return out


def hold_over_outages(asked, machine, rows, pieces, window):
    """A register that the device called bad and that comes back with the product it had before, while no piece was seen
    in between, had it all along."""
    if not counters_of(machine):
        return
    stated = [(t, q) for t, _, q in rows.get(machine.product_tag, []) if q != Quality.GAP]
    for n, (lost, quality) in enumerate(stated):
        if quality <= Quality.UNCERTAIN or n == 0 or stated[n - 1][1] > Quality.UNCERTAIN:
            continue
        back = next((t for t, q in stated[n:] if q <= Quality.UNCERTAIN), None)
        seen = back is not None and any(lost < p.t < back and p.lost is None for p in pieces)
        if back is not None and not seen and asked[lost - 1] == asked[back] != "?":
            for t in range(lost, back):
                asked[t] = asked[back]


def next_stop_products(asked, state, window):
    """A change seen while the machine runs waits for its next second of not running."""
    out, now = Seconds(), asked[window[0]]
    for t in window:
        ran_through = state[t] == State.RUNNING and state[t - 1] == State.RUNNING
        if asked[t] != now and (not ran_through or now == "?"):
            now = asked[t]
        out[t] = now
    return out


def raw_states(machine, conditions, held, window):
    out = Seconds()
    for t in window:
        out[t] = State.UNKNOWN
        if not machine.rules:
            counter = machine.pieces.total or machine.pieces.good
            out[t] = State.UNKNOWN if held.get(counter.tag, Seconds())[t] is None else State.RUNNING
        for rule, condition in zip(machine.rules, conditions, strict=True):
            true = True if rule.when is None else condition(lambda tag, t=t: held.get(tag, Seconds())[t])
            if true:
                out[t] = rule.state
            if true or true is None:
                break
    return out


def lay_gaps(machine, state, pieces, rows, product, window):
    if machine.gap is None:
        return
    roles = [role for role, _ in counters_of(machine)]
    counter = machine.pieces.total or machine.pieces.good
    watched = [t for t, _, quality in rows.get(counter.tag, []) if quality <= Quality.UNCERTAIN]
    times = sorted({p.t for p in pieces if p.role == ("total" if "total" in roles else p.role)} | set(watched[:1]))
    if machine.rules and times:  # a stop that the signals show is no gap: what follows it is measured from its end
        running = [t for t in window if state[t] == State.RUNNING]
        begun = {t for t in running if t > window.start and state[t - 1] != State.RUNNING}
        times = sorted({*times, *(t for t in begun if t > times[0])})
    ends = [*times, window.stop][1:]
    if machine.rules:
        ends = [run_end(state, t, window, last) for t, last in zip(times, ends, strict=True)]
    for t, following in zip(times, ends, strict=bool(times)):
        count_s = ideal_s(machine, product[t], t) * per_count(machine, product[t])
        if (following - t) * S > max(machine.gap.ideals * count_s * S, machine.gap.at_least_ns):
            for second in range(t + count_s, following):
                if state[second] == State.RUNNING:
                    state[second] = machine.gap.state


def run_end(state, t, window, last):
    """The end of the run at `t`, at most `last`; `t` itself where the machine does not run."""
    while t < last and state[t] == State.RUNNING:
        t += 1
    return t


def runs_of(key, window):
    """Maximal stretches `[first, last)` over which `key` is equal."""
    out, first = [], window.start
    for t in range(window.start + 1, window.stop + 1):
        if t == window.stop or key(t) != key(t - 1):
            out.append((first, t))
            first = t
    return out


def debounce(machine, state, window):
    """Short runs between stops join the stop before them; after that short stops between runs become running."""
    for wanted, shortest_ns in ((State.RUNNING, machine.shortest_run_ns), (None, machine.shortest_stop_ns)):
        kinds = Seconds({t: "?" if state[t] == State.UNKNOWN else state[t] == State.RUNNING for t in window})
        short = []
        for first, last in runs_of(lambda t, kinds=kinds: kinds[t], window):
            mine, other = (True, False) if wanted == State.RUNNING else (False, True)
            inside = kinds[first] is mine and kinds[first - 1] is other and kinds[last] is other
            if inside and (last - first) * S < shortest_ns:
                short.append((first, last))
        for first, last in short:
            for t in range(first, last):
                state[t] = state[first - 1]


def declare(machine, state, reason, said, window):
    """What people said: a reason or a planned stop for what is a stop, a state for what is unknown. Without an end it
    holds until the standstill ends in which it begins."""
    personal, before = Seconds(dict.fromkeys(window, False)), Seconds({t: state[t] for t in window})
    for first, until, field, value in said:
        last = standstill_end(machine, before, first, field, value, window) if until is None else until
        for t in range(max(first, window.start), min(last, window.stop)):
            stopped = state[t] not in NOT_STOPPED
            if field == "state" and state[t] == State.UNKNOWN:
                state[t] = State[value.upper()]
            elif field == "planned_stop" and stopped:
                state[t], reason[t] = State.PLANNED_STOP, value
            elif field == "reason" and stopped:
                state[t], reason[t] = machine.reason_states.get(value, State.UNPLANNED_STOP), value
            else:
                continue
            personal[t] = True
    return personal


def standstill_end(machine, state, first, field, value, window):
    """The first second from `first` on in which the machine runs or, unless it has broken down, nobody is at work."""
    if first not in window:
        return first
    said = {"state": State[value.upper()]} if field == "state" else {"reason": machine.reason_states.get(value)}
    broken = State.BREAKDOWN in said.values()
    for t in range(first, window.stop):
        outside = calendar_at(machine.calendar, t)[0] == CalendarClass.OUTSIDE
        if state[t] == State.RUNNING or (outside and not broken):
            return t
    return window.stop


def reasons_from_tag(machine, state, reason, rows, window):
    """A stop without a reason takes the first code with a name that its tag had while it lasted."""
    code = hold(rows.get(machine.reason_tag, []), window)
    for first, last in runs_of(lambda t: (state[t], reason[t]), window):
        named = [machine.reason_map[str(code[t])] for t in range(first, last) if str(code[t]) in machine.reason_map]
        if not machine.reason_tag or not named or reason[first] or state[first] in NOT_STOPPED:
            continue
        for t in range(first, last):
            reason[t] = named[0]
            if state[t] == State.UNPLANNED_STOP:
                state[t] = machine.reason_states.get(named[0], State.UNPLANNED_STOP)


def find_setups(machine, state, pieces, product, said, window, watched):
    """From the last piece of the old product to the first good one of the new; None: not ended. Where the counter was
    not known when that piece came, or is not known at the end, the machine's running ends the set-up."""
    changes, known = [], None
    for t in window:
        if product[t] != "?":
            if known not in (None, product[t]) and (
                state[t] != State.RUNNING or state[t - 1] not in (State.RUNNING, None)
            ):
                changes.append((t, t, False))
            known = product[t]
    changes += [(first, last, True) for first, last, field, _ in said if field == "changeover" and first in window]
    out = []
    for change, no_earlier, declared in sorted(changes):
        made = [p.t for p in pieces if gives(machine, p)[0] and p.t <= change]
        last_piece = max(made) if made else first_of_stop(state, change, window, declared)
        finish, good = None, 0
        later = [p for p in pieces if p.t > max(change, no_earlier - 1)]
        for t in sorted({p.t for p in later}):
            seen = any(gives(machine, p)[0] for p in later if p.t <= t)
            of_poll = [gives(machine, p)[2 if judges(machine) else 0] for p in later if p.t == t]
            good += sum(n for n in of_poll if seen or n > 0)
            if good >= 1:
                finish = t
                break
        if not counters_of(machine):
            finish = end_of_stop(state, change, no_earlier, window)
        else:
            blind = [p.lost for p in later if p.t == finish and p.lost is not None]
            if finish is None and not watched[window.stop - 1]:
                blind = [max((t + 1 for t in window if watched[t]), default=window.start)]
            if blind:
                standing = stop_around(state, change, no_earlier, window)
                runs = [t for t in window if t >= max(standing, no_earlier, min(blind)) and state[t] == State.RUNNING]
                finish = min([*runs[:1], *([] if finish is None else [finish])], default=None)
        out.append((last_piece, finish))
    return out


def first_of_stop(state, change, window, declared):
    first = change if state[change] != State.RUNNING else change - 1
    if declared and state[change] == State.RUNNING and state[change - 1] in (State.RUNNING, None):
        return change
    while first > window.start and state[first - 1] != State.RUNNING:
        first -= 1
    return first


def end_of_stop(state, change, no_earlier, window):
    """Where no pieces are counted the stop itself is the set-up."""
    if state[change] == State.RUNNING:
        return max(change, no_earlier) if state[change - 1] in (State.RUNNING, None) else change
    last = change
    while last < window.stop and state[last] != State.RUNNING:
        last += 1
    return last if last < window.stop else None


def stop_around(state, change, no_earlier, window):
    """When the standstill that contains a change or ends with it is over."""
    if state[change] == State.RUNNING:
        return change if state[change - 1] not in (State.RUNNING, None) else max(change, no_earlier)
    return next((t for t in range(change, window.stop) if state[t] == State.RUNNING), window.stop)


def calendar_at(calendar, t):
    """Class, business date [days since 1970] and shift of a second, by asking every shift of today and yesterday."""
    local = datetime.fromtimestamp(t, UTC).astimezone(calendar.zone).replace(tzinfo=None)
    for day in (local.date() - timedelta(days=1), local.date()):
        plan = calendar.exceptions.get(day, [s for s in calendar.shifts if day.weekday() in s.weekdays])
        since = (local - datetime.combine(day, datetime.min.time())).total_seconds()
        for shift in plan:
            if shift.start_s <= since < shift.end_s:
                pause = any(first <= since < last for first, last in shift.breaks)
                kind = CalendarClass.BREAK if pause else CalendarClass.SCHEDULED
                return kind, (day - date(1970, 1, 1)).days, shift.name
    return CalendarClass.OUTSIDE, (local.date() - date(1970, 1, 1)).days, "-"


def join_faults(state, reason, personal, calendar, window):
    """A stop that nobody and nothing explains waits for the repair of the fault before it, else of the one after it."""

    def kind(t):
        outside = state[t] != State.BREAKDOWN and calendar[t][0] == CalendarClass.OUTSIDE
        return state[t], reason[t], outside

    runs = runs_of(kind, window)
    faults = [state[first] == State.BREAKDOWN and not personal[first] for first, _ in runs]
    joined = []
    for n, (first, last) in enumerate(runs):
        if kind(first) != (State.UNPLANNED_STOP, "", False) or personal[first]:
            continue
        if n > 0 and faults[n - 1]:
            joined.append((first, last, reason[runs[n - 1][0]]))
        elif n + 1 < len(runs) and faults[n + 1]:
            joined.append((first, last, reason[runs[n + 1][0]]))
    for first, last, why in joined:
        for t in range(first, last):
            state[t], reason[t] = State.BREAKDOWN, why


def judge_minor(machine, state, reason, calendar, window, touching):
    """Makes minor stops of short ones; returns every stop `(first, last, state)`. A stop ends where the schedule
    does, a breakdown is only suspended, only scheduled seconds count, and set-ups that touch are two."""
    ends_outside = Seconds({t: calendar[t][0] == CalendarClass.OUTSIDE and state[t] != State.BREAKDOWN for t in window})
    out = []
    for first, last in runs_of(
        lambda t: (
            state[t],
            reason[t],
            ends_outside[t],
            state[t] == State.SETUP and sum(edge <= t for edge in touching),
        ),
        window,
    ):
        kind = state[first]
        if kind == State.UNPLANNED_STOP and not reason[first]:
            wanted = sum(calendar[t][0] == CalendarClass.SCHEDULED for t in range(first, last))
            if wanted * S <= machine.minor_stop_at_most_ns:
                kind = State.MINOR_STOP
        out.append((first, last, kind))
    for first, last, kind in out:
        for t in range(first, last):
            state[t] = kind
    return out
