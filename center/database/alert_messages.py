"""Messages about alerts: a row for each recipient and step, so that each is sent once whatever happens in between."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, select

from center.database.alerts import ALERTS, MESSAGES, OUTLETS, ended_row
from center.database.sql import reading, writing
from center.model.alerts.alert import TOLD_AT_END, AlertRecord
from center.model.alerts.owed import Owed

WAITING, SENT, DROPPED = "waiting", "sent", "dropped"
DueOf = Callable[[AlertRecord, str], int]
"""When an outlet may be told that an alert is over [ns UTC]."""


@dataclass(frozen=True)
class WaitingMessage:
    """A message that is still to be sent."""

    owed: Owed
    due_ns: int


@dataclass(frozen=True)
class OutletRecord:
    """How a recipient fares. tries: how often it has failed since the last success; next_ns: when it is tried again; since_ns:
    since when it has failed, 0 while it works; sent_ns: of the last success, 0 for never [ns UTC]; why: what went wrong.
    """

    name: str
    tries: int = 0
    next_ns: int = 0
    since_ns: int = 0
    sent_ns: int = 0
    why: str = ""

    @property
    def works(self) -> bool:
        """Whether the last try was no failure."""
        return not self.tries


def enqueue(engine: Engine, owed: Iterable[Owed], now_ns: int) -> int:
    """Adds those that are not there yet; returns how many were added. Raises `StoreUnavailable`."""
    wanted = set(owed)
    if not wanted:
        return 0
    with writing(engine) as connection:
        columns = (MESSAGES.c.alert, MESSAGES.c.step, MESSAGES.c.outlet)
        of_these = MESSAGES.c.alert.in_({item.alert for item in wanted})
        known = {tuple(row) for row in connection.execute(select(*columns).where(of_these))}
        new = sorted(item for item in wanted if tuple(item) not in known)
        if new:
            connection.execute(MESSAGES.insert(), [_row(item, now_ns, now_ns) for item in new])
    return len(new)


def end_alert(
    engine: Engine, alert: AlertRecord, why: str, now_ns: int, due_of: DueOf, calm_ns: int | None = None
) -> bool:
    """Ends an alert: what waits about it is dropped, and who was told that it began is to be told that it is over. calm_ns: when
    that was, None for now. False where it had ended before. Raises `StoreUnavailable`.
    """
    with writing(engine) as connection:
        if not connection.execute(ended_row(alert, why, calm_ns or now_ns)).rowcount:
            return False
        of_alert = MESSAGES.c.alert == alert.id
        waits = and_(of_alert, MESSAGES.c.state == WAITING)
        connection.execute(MESSAGES.update().where(waits).values(state=DROPPED, at_ns=now_ns))
        told = connection.scalars(select(MESSAGES.c.outlet).where(of_alert, MESSAGES.c.state == SENT).distinct()).all()
        if alert.key.kind in TOLD_AT_END and why == "over":
            _add_ends(connection, [(alert.id, outlet, due_of(alert, outlet)) for outlet in told], now_ns)
    return True


def waiting(engine: Engine, now_ns: int) -> list[WaitingMessage]:
    """Messages that are due, the oldest first. Raises `StoreUnavailable`."""
    statement = select(MESSAGES).where(MESSAGES.c.state == WAITING, MESSAGES.c.due_ns <= now_ns)
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(MESSAGES.c.due_ns, MESSAGES.c.alert)).mappings().all()
    return [WaitingMessage(Owed(row["alert"], row["step"], row["outlet"]), row["due_ns"]) for row in rows]


def mark_sent(
    engine: Engine, messages: Sequence[Owed], now_ns: int, due_of: DueOf, alerts: Mapping[str, AlertRecord]
) -> None:
    """Stores that they have gone out. Where an alert ended while its message was on the way, its end is to be told too.

    Raises `StoreUnavailable`.
    """
    with writing(engine) as connection:
        for item in messages:
            connection.execute(MESSAGES.update().where(_at(item)).values(state=SENT, at_ns=now_ns))
        begun = {item.alert: item for item in messages if item.step != "ended"}
        over = select(ALERTS.c.id).where(ALERTS.c.id.in_(begun), ALERTS.c.why == "over", ALERTS.c.kind.in_(TOLD_AT_END))
        ends = [
            (number, begun[number].outlet, due_of(alerts[number], begun[number].outlet))
            for number in connection.scalars(over).all()
            if number in alerts
        ]
        _add_ends(connection, ends, now_ns)


def drop(engine: Engine, messages: Iterable[Owed], now_ns: int) -> None:
    """Stores that they are sent no more. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        for item in messages:
            connection.execute(MESSAGES.update().where(_at(item)).values(state=DROPPED, at_ns=now_ns))


def told_of(engine: Engine, alerts: Iterable[str]) -> dict[str, list[tuple[Owed, str, int]]]:
    """By alert its messages with their states, and when that changed last [ns UTC]. Raises `StoreUnavailable`."""
    statement = select(MESSAGES).where(MESSAGES.c.alert.in_(list(alerts))).order_by(MESSAGES.c.at_ns, MESSAGES.c.outlet)
    out: dict[str, list[tuple[Owed, str, int]]] = {}
    with reading(engine) as connection:
        for row in connection.execute(statement).mappings():
            item = Owed(row["alert"], row["step"], row["outlet"])
            out.setdefault(row["alert"], []).append((item, row["state"], row["at_ns"]))
    return out


def outlets(engine: Engine) -> dict[str, OutletRecord]:
    """How each recipient fares to whom something was sent, by name. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(select(OUTLETS)).mappings().all()
    return {row["name"]: OutletRecord(**row) for row in rows}


def save_outlet(engine: Engine, outlet: OutletRecord) -> None:
    """Stores how a recipient fares. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        changed = connection.execute(OUTLETS.update().where(OUTLETS.c.name == outlet.name).values(**vars(outlet)))
        if not changed.rowcount:
            connection.execute(OUTLETS.insert().values(**vars(outlet)))


def _add_ends(connection: Connection, ends: Iterable[tuple[str, str, int]], now_ns: int) -> None:
    """Adds the messages that say that an alert is over: alert, outlet, when each is due."""
    for number, outlet, due_ns in ends:
        item = Owed(number, "ended", outlet)
        if connection.execute(select(MESSAGES.c.state).where(_at(item))).first() is None:
            connection.execute(MESSAGES.insert().values(**_row(item, due_ns, now_ns)))


def _row(item: Owed, due_ns: int, now_ns: int) -> dict[str, Any]:
    return {**item._asdict(), "state": WAITING, "due_ns": due_ns, "at_ns": now_ns}


def _at(item: Owed) -> Any:
    return and_(MESSAGES.c.alert == item.alert, MESSAGES.c.step == item.step, MESSAGES.c.outlet == item.outlet)
