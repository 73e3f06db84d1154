"""Alerts that were raised: open ones, and those of the past. One of each thing at a time is open, whoever raises it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, get_args

from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, String, Table, Text, delete, select
from sqlalchemy.exc import IntegrityError

from center.database.sql import prepare, reading, writing
from center.model.alerts.alert import AlertKey, AlertRecord
from config.alerts import AlertKind

META: Final = MetaData()
_KEY: Final = ("site", "kind", "machine", "gateway", "about")
_KINDS: Final = get_args(AlertKind)
# open_key: what it is about while it is open, NULL afterwards; lines, detail: JSON
ALERTS: Final = Table(
    "alerts",
    META,
    Column("id", String(32), primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("gateway", String(64), nullable=False),
    Column("about", String(140), nullable=False),
    Column("open_key", Text, unique=True),
    Column("since_ns", BigInteger, nullable=False),
    Column("begun_ns", BigInteger, nullable=False, index=True),
    Column("owner", String(64), nullable=False),
    Column("lines", Text, nullable=False),
    Column("ended_ns", BigInteger, nullable=False, index=True),
    Column("why", String(16), nullable=False),
    Column("acknowledged_ns", BigInteger, nullable=False),
    Column("by", String(80), nullable=False),
    Column("detail", Text, nullable=False),
)
# messages to single recipients (`center.database.alert_messages`); state: waiting, sent or dropped
MESSAGES: Final = Table(
    "alert_messages",
    META,
    Column("alert", String(32), primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("outlet", String(320), primary_key=True),
    Column("state", String(8), nullable=False, index=True),
    Column("due_ns", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
OUTLETS: Final = Table(
    "alert_outlets",
    META,
    Column("name", String(320), primary_key=True),
    Column("tries", BigInteger, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("sent_ns", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)
RecordAnswer = Callable[[Connection, AlertRecord], None]
"""Enters an acknowledgement into the audit trail, in its own transaction."""


def _first(connection: Connection) -> None:
    META.create_all(connection)


def prepare_alerts(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "alerts", (_first,), (ALERTS, MESSAGES, OUTLETS))


def begin_alert(engine: Engine, alert: AlertRecord) -> bool:
    """Stores a new alert; False where one about the same thing is open already. Raises `StoreUnavailable`."""
    try:
        with writing(engine) as connection:
            connection.execute(ALERTS.insert().values(**_row(alert)))
    except IntegrityError:
        return False
    return True


def acknowledge_alert(
    engine: Engine, number: str, by: str, now_ns: int, record: RecordAnswer | None = None
) -> AlertRecord | None:
    """Somebody takes an open alert on; the first one stays. None where there is no such open alert. record: None without an
    entry in the audit trail. Raises `StoreUnavailable`.
    """
    with writing(engine) as connection:
        found = (
            connection.execute(select(ALERTS).where(ALERTS.c.id == number, ALERTS.c.ended_ns == 0)).mappings().first()
        )
        if found is None:
            return None
        alert = _alert(found)
        if alert.acknowledged:
            return alert
        free = (ALERTS.c.id == number) & (ALERTS.c.acknowledged_ns == 0) & (ALERTS.c.ended_ns == 0)
        if (
            connection.execute(ALERTS.update().where(free).values(acknowledged_ns=now_ns, by=by[:80])).rowcount
            and record
        ):
            record(connection, replace(alert, acknowledged_ns=now_ns, by=by[:80]))
        again = connection.execute(select(ALERTS).where(ALERTS.c.id == number)).mappings().one()
        return _alert(again)


def open_alerts(engine: Engine, sites: Iterable[str] | None = None) -> list[AlertRecord]:
    """Open alerts of these sites, of all without any, the latest first. Raises `StoreUnavailable`."""
    return _listed(engine, sites, ALERTS.c.ended_ns == 0)


def ended_since(engine: Engine, since_ns: int) -> list[AlertRecord]:
    """Alerts that have ended since then. Raises `StoreUnavailable`."""
    return _listed(engine, None, ALERTS.c.ended_ns >= max(since_ns, 1))


def alerts_by_id(engine: Engine, ids: Iterable[str]) -> dict[str, AlertRecord]:
    """Those of these alerts that are there. Raises `StoreUnavailable`."""
    return {alert.id: alert for alert in _listed(engine, None, ALERTS.c.id.in_(list(ids)))}


def past_alerts(
    engine: Engine, sites: Iterable[str] | None, limit: int, before_ns: int | None = None
) -> list[AlertRecord]:
    """Alerts that have ended, the latest first. before_ns: only those that began earlier. Raises `StoreUnavailable`."""
    earlier = (ALERTS.c.ended_ns > 0) & (ALERTS.c.begun_ns < (before_ns or 2**62))
    return _listed(engine, sites, earlier, limit)


def forget_alerts(engine: Engine, before_ns: int) -> None:
    """Deletes alerts that ended before then, with their messages. Raises `StoreUnavailable`."""
    old = (ALERTS.c.ended_ns > 0) & (ALERTS.c.ended_ns < before_ns)
    with writing(engine) as connection:
        connection.execute(delete(MESSAGES).where(MESSAGES.c.alert.in_(select(ALERTS.c.id).where(old))))
        connection.execute(delete(ALERTS).where(old))


def _listed(engine: Engine, sites: Iterable[str] | None, wanted: Any, limit: int | None = None) -> list[AlertRecord]:
    statement = select(ALERTS).where(wanted).order_by(ALERTS.c.begun_ns.desc(), ALERTS.c.id)
    if sites is not None:
        statement = statement.where(ALERTS.c.site.in_(list(sites)))
    with reading(engine) as connection:
        rows = connection.execute(statement.limit(limit)).mappings().all()
    return [_alert(row) for row in rows if row["kind"] in _KINDS]


def ended_row(alert: AlertRecord, why: str, now_ns: int) -> Any:
    """The statement that ends an alert, and does nothing where it has ended."""
    open_one = (ALERTS.c.id == alert.id) & (ALERTS.c.ended_ns == 0)
    return ALERTS.update().where(open_one).values(ended_ns=now_ns, why=why, open_key=None)


def _row(alert: AlertRecord) -> dict[str, Any]:
    key: Sequence[str] = alert.key
    return {
        "id": alert.id,
        **dict(zip(_KEY, key, strict=True)),
        "open_key": "/".join(key) if alert.is_open else None,
        "lines": json.dumps(alert.lines),
        "detail": json.dumps(dict(alert.detail), ensure_ascii=False),
        **{name: getattr(alert, name) for name in _PLAIN},
    }


_PLAIN: Final = ("since_ns", "begun_ns", "owner", "ended_ns", "why", "acknowledged_ns", "by")


def _alert(row: Any) -> AlertRecord:
    key = AlertKey(row["site"], row["kind"], row["machine"], row["gateway"], row["about"])
    plain = {name: row[name] for name in _PLAIN}
    return AlertRecord(
        id=row["id"], key=key, lines=tuple(json.loads(row["lines"])), detail=json.loads(row["detail"]), **plain
    )
