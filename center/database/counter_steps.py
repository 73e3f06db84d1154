"""What counters did besides counting, in the center's SQL database: a gateway tells the last day only, advice asks for weeks.

Each is known by site, machine, role, instant and kind, so that it is kept once however often it is told.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, String, Table, Text, delete, select, tuple_

from center.database.sql import prepare, reading, writing
from center.model.retention import DAY_NS

_META: Final = MetaData()
STEPS: Final = Table(
    "counter_steps",
    _META,
    Column("site", String(64), primary_key=True),
    Column("machine", String(200), primary_key=True),
    Column("role", String(64), primary_key=True),
    Column("at_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(32), primary_key=True),
    Column("told_by", Text, nullable=False),
)
KEPT_NS: Final = 100 * DAY_NS


class KeptStep(NamedTuple):
    """One of them."""

    machine: str
    role: str
    at_ns: int
    kind: str


def _first(connection: Connection) -> None:
    _META.create_all(connection)


def prepare_counter_steps(engine: Engine) -> None:
    """Creates or migrates the table in the database of findings. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "counter_steps", (_first,), _META.sorted_tables)


def keep_steps(engine: Engine, site: str, gateway: str, steps: Iterable[KeptStep], now_ns: int) -> int:
    """Keeps those that are not known yet, and drops what is older than `KEPT_NS`; how many are new. Raises
    `StoreUnavailable`.
    """
    told = {step for step in steps if step.at_ns > now_ns - KEPT_NS}
    if not told:
        return 0
    columns = (STEPS.c.machine, STEPS.c.role, STEPS.c.at_ns, STEPS.c.kind)
    with writing(engine) as connection:
        known = connection.execute(select(*columns).where(STEPS.c.site == site, tuple_(*columns).in_(list(told))))
        new = told - {KeptStep(*row) for row in known}
        if new:
            rows = [{"site": site, "told_by": gateway, **step._asdict()} for step in sorted(new)]
            connection.execute(STEPS.insert(), rows)
            connection.execute(delete(STEPS).where(STEPS.c.site == site, STEPS.c.at_ns <= now_ns - KEPT_NS))
    return len(new)


def oddities(engine: Engine, site: str, machine: str, start_ns: int, end_ns: int) -> tuple[tuple[str, int, int], ...]:
    """Kind, day (since 1970-01-01, UTC) and how often, in order, of one machine in this time. Raises `StoreUnavailable`."""
    wanted = select(STEPS.c.kind, STEPS.c.at_ns).where(
        STEPS.c.site == site, STEPS.c.machine == machine, STEPS.c.at_ns >= start_ns, STEPS.c.at_ns < end_ns
    )
    with reading(engine) as connection:
        counts = Counter((kind, at_ns // DAY_NS) for kind, at_ns in connection.execute(wanted))
    return tuple((kind, day, count) for (kind, day), count in sorted(counts.items(), key=lambda item: item[0][::-1]))
