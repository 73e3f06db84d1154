"""Findings in the center's SQL database: what each night saw of each machine, and where each finding is in its life.

A night has two halves, so that it can be interrupted: first each machine is looked at and what was seen is written, then
the tests of all machines are judged together and findings are brought forward, machine by machine. Both halves may be
repeated. Only the last night's looks are kept.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    select,
)

from center.database.counter_steps import prepare_counter_steps
from center.database.sql import opening, prepare, reading, writing
from center.model.kept_finding import KeptFinding, MachineTrust
from oee.advice.finding import Finding
from oee.advice.life import FindingRecord
from oee.advice.look import Identity, MachineLook
from oee.advice.written import look_of, plain_look, plain_record, record_of

_META: Final = MetaData()
FINDINGS: Final = Table(
    "findings",
    _META,
    Column("id", String(64), primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("machine", Text, nullable=False),
    Column("rule", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String(16), nullable=False, index=True),
    Column("held", Boolean, nullable=False),
    Column("gain_low", Float, nullable=False),
    Column("gain_high", Float, nullable=False),
    Column("night_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
LOOKS: Final = Table(
    "findings_looks",
    _META,
    Column("site", String(64), primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("night_ns", BigInteger, nullable=False, index=True),
    Column("tests", Text, nullable=False),
    Column("trust", Text, nullable=False),
    Column("body", Text, nullable=False),
)
NIGHTS: Final = Table(
    "findings_nights",
    _META,
    Column("night_ns", BigInteger, primary_key=True),
    Column("done_ns", BigInteger, nullable=False),
    Column("machines", Integer, nullable=False),
    Column("tests", Integer, nullable=False),
)


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


@dataclass(frozen=True)
class Night:
    """A night that is done: the instant up to which it looked, when it ended [ns UTC], and how much it looked at."""

    night_ns: int
    done_ns: int
    machines: int
    tests: int


def open_findings(url: str) -> Engine:
    """The database with these tables in it. Raises `Misconfigured` or `StoreUnavailable`."""
    with opening(url) as engine:
        prepare(engine, "findings", _STEPS, _META.sorted_tables)
        prepare_counter_steps(engine)
    return engine


def id_of(site: str, finding: Finding) -> str:
    """The same for the same rule, machine and key of a site, from night to night."""
    text = json.dumps([site, finding.machine, finding.rule, *finding.key], ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def looked_at(engine: Engine, night_ns: int) -> set[tuple[str, str]]:
    """Site and machine of those that this night has seen already. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(select(LOOKS.c.site, LOOKS.c.machine).where(LOOKS.c.night_ns == night_ns))
        return {(site, machine) for site, machine in rows}


def latest_look(engine: Engine, site: str = "") -> int:
    """The last night that has seen a machine (of this site), 0 for none. Raises `StoreUnavailable`."""
    latest = select(func.max(LOOKS.c.night_ns))
    with reading(engine) as connection:
        return connection.scalar(latest.where(LOOKS.c.site == site) if site else latest) or 0


def done_nights(engine: Engine) -> set[int]:
    """The nights that are done. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        return set(connection.scalars(select(NIGHTS.c.night_ns)))


def write_look(engine: Engine, night_ns: int, site: str, look: MachineLook) -> None:
    """Keeps what the night saw of one machine, in place of what an earlier one did. Raises `StoreUnavailable`."""
    tests = [[item.rule, list(item.key), item.p, bool(item.passes)] for item in look.findings]
    of_machine = (LOOKS.c.site == site) & (LOOKS.c.machine == look.machine)
    row = {
        "site": site,
        "machine": look.machine,
        "night_ns": night_ns,
        "tests": json.dumps(tests, ensure_ascii=False),
        "trust": json.dumps([list(look.trust.why_not), look.trust.coverage]),
        "body": json.dumps(plain_look(look), ensure_ascii=False),
    }
    with writing(engine) as connection:
        connection.execute(LOOKS.delete().where(of_machine))
        connection.execute(LOOKS.insert().values(**row))


def tests_of(engine: Engine, night_ns: int) -> Iterator[tuple[str, str, Identity, float | None, bool]]:
    """Site, machine, identity, p and whether its thresholds are passed, of every contrast of the night, machine by machine
    in order. Raises `StoreUnavailable`.
    """
    order = (LOOKS.c.site, LOOKS.c.machine)
    with reading(engine) as connection:
        rows = connection.execute(select(*order, LOOKS.c.tests).where(LOOKS.c.night_ns == night_ns).order_by(*order))
        for site, machine, tests in rows:
            for rule, key, p, passes in json.loads(tests):
                yield site, machine, (rule, tuple(key)), p, passes


def look_at(engine: Engine, site: str, machine: str) -> MachineLook | None:
    """What the last night saw of a machine, None if none did. Raises `StoreUnavailable`."""
    wanted = select(LOOKS.c.body).where(LOOKS.c.site == site, LOOKS.c.machine == machine)
    with reading(engine) as connection:
        body = connection.scalar(wanted)
    return None if body is None else look_of(json.loads(body))


def trusts(engine: Engine, sites: Sequence[str]) -> list[MachineTrust]:
    """What the last night said of the data of these sites' machines. Raises `StoreUnavailable`."""
    columns = (LOOKS.c.site, LOOKS.c.machine, LOOKS.c.night_ns, LOOKS.c.trust)
    with reading(engine) as connection:
        rows = connection.execute(
            select(*columns).where(LOOKS.c.site.in_(sites)).order_by(LOOKS.c.site, LOOKS.c.machine)
        )
        plain = [(site, machine, night_ns, json.loads(trust)) for site, machine, night_ns, trust in rows]
    return [MachineTrust(site, machine, at, tuple(why), coverage) for site, machine, at, (why, coverage) in plain]


def advance(
    engine: Engine,
    night_ns: int,
    site: str,
    machine: str,
    step: Callable[[Sequence[FindingRecord]], Sequence[FindingRecord]],
) -> list[KeptFinding]:
    """Replaces a machine's records by what `step` makes of them, in one transaction; returns them.

    Raises `StoreUnavailable`.
    """
    of_machine = (FINDINGS.c.site == site) & (FINDINGS.c.machine == machine)
    with writing(engine) as connection:
        bodies = connection.scalars(select(FINDINGS.c.body).where(of_machine).order_by(FINDINGS.c.id).with_for_update())
        records = step([record_of(json.loads(body)) for body in bodies.all()])
        kept = [KeptFinding(id_of(site, record.finding), site, record) for record in records]
        connection.execute(FINDINGS.delete().where(of_machine))
        if kept:
            connection.execute(FINDINGS.insert(), [_row(item, night_ns) for item in kept])
    return kept


def change(
    engine: Engine,
    number: str,
    step: Callable[[FindingRecord], FindingRecord],
    also: Callable[[Connection, KeptFinding], None],
) -> KeptFinding | None:
    """Replaces one record by what `step` makes of it; None if there is none of that id. also: is done in the same
    transaction. Raises what `step` raises, and `StoreUnavailable`.
    """
    with writing(engine) as connection:
        item = change_within(connection, number, step)
        if item is not None:
            also(connection, item)
    return item


def change_within(
    connection: Connection, number: str, step: Callable[[FindingRecord], FindingRecord]
) -> KeptFinding | None:
    """The same within a transaction of the caller's."""
    row = connection.execute(select(FINDINGS).where(FINDINGS.c.id == number).with_for_update()).mappings().first()
    if row is None:
        return None
    item = KeptFinding(row["id"], row["site"], step(record_of(json.loads(row["body"]))))
    connection.execute(FINDINGS.update().where(FINDINGS.c.id == number).values(**_row(item, row["night_ns"])))
    return item


def _row(item: KeptFinding, night_ns: int) -> dict[str, object]:
    finding, record = item.record.finding, item.record
    return {
        "id": item.id,
        "site": item.site,
        "machine": finding.machine,
        "rule": finding.rule,
        "version": finding.version,
        "stage": record.stage,
        "held": record.held,
        "gain_low": min(record.told.low_min, _MOST),
        "gain_high": min(record.told.high_min, _MOST),
        "night_ns": night_ns,
        "body": json.dumps(plain_record(record), ensure_ascii=False),
    }


_MOST: Final = 1e12
"""In place of infinity, which not every database keeps."""


def kept_findings(
    engine: Engine, sites: Sequence[str], *, machine: str = "", stages: Sequence[str] = ()
) -> list[KeptFinding]:
    """Findings of these sites, those with the most to gain first. Raises `StoreUnavailable`."""
    wanted: list[ColumnElement[bool]] = [FINDINGS.c.site.in_(sites)]
    wanted += [FINDINGS.c.machine == machine] if machine else []
    wanted += [FINDINGS.c.stage.in_(stages)] if stages else []
    order = (FINDINGS.c.gain_high.desc(), FINDINGS.c.id)
    with reading(engine) as connection:
        rows = connection.execute(
            select(FINDINGS.c.id, FINDINGS.c.site, FINDINGS.c.body).where(*wanted).order_by(*order)
        )
        return [KeptFinding(number, site, record_of(json.loads(body))) for number, site, body in rows]


def kept_finding(engine: Engine, number: str) -> KeptFinding | None:
    """The finding of this id. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        row = connection.execute(select(FINDINGS).where(FINDINGS.c.id == number)).mappings().first()
    return None if row is None else KeptFinding(row["id"], row["site"], record_of(json.loads(row["body"])))


def end_night(engine: Engine, night: Night) -> None:
    """Marks the night as done and forgets looks at machines that it has not seen. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(NIGHTS.delete().where(NIGHTS.c.night_ns == night.night_ns))
        connection.execute(NIGHTS.insert().values(**vars(night)))
        connection.execute(LOOKS.delete().where(LOOKS.c.night_ns != night.night_ns))


def last_night(engine: Engine) -> Night | None:
    """The last night that is done, None before the first. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        row = connection.execute(select(NIGHTS).order_by(NIGHTS.c.night_ns.desc()).limit(1)).mappings().first()
    return None if row is None else Night(**row)
