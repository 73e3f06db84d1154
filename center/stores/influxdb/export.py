"""Exports rows with their identity, for a copy into another store."""

from collections.abc import Iterator

from center.contract.store import RowBatch
from center.stores.influxdb.codec import answers, queries, values
from center.stores.influxdb.codec.rows import batches, numbered
from center.stores.influxdb.database import InfluxDatabase
from oee.model.facts import FACT_COLUMNS, LOSS_COLUMNS, MINUTE_NS

_TABLES = (("facts", FACT_COLUMNS), ("losses", LOSS_COLUMNS))


def extent(database: InfluxDatabase) -> dict[str, tuple[int, int]]:
    """By the contract of `Exportable`."""
    sources = [database.source(measurement) for measurement in ("facts", "losses", "stops", values.MEASUREMENT)]
    sources += [database.sources(measurement)[1] for measurement in ("facts", "losses")]
    out = {}
    for site in database.sites():
        statements = [queries.edge(source, site, last=last) for source in sources for last in (False, True)]
        times = [row[0] for _, _, rows in answers.series(database.ask(statements)) for row in rows]
        if times:
            out[site] = (min(times) // MINUTE_NS * MINUTE_NS, max(times) // MINUTE_NS * MINUTE_NS + MINUTE_NS)
    return out


def rows(database: InfluxDatabase, site: str, start_ns: int, end_ns: int, deleted_before_ns: int) -> Iterator[RowBatch]:
    """By the contract of `Exportable`. deleted_before_ns: for earlier rows their hourly sums are exported."""
    minutes_from_ns = min(max(deleted_before_ns, start_ns), end_ns)
    if start_ns < minutes_from_ns:
        facts, losses = database.ask(
            [
                queries.rows(database.sources(table)[1], site, start_ns, minutes_from_ns, columns)
                for table, columns in _TABLES
            ]
        )
        yield from map(numbered, batches(site, [facts], [losses], []))
    facts, losses, stops, process_values, cycles = database.ask(
        [
            *(
                queries.rows(database.source(table), site, minutes_from_ns, end_ns, columns)
                for table, columns in _TABLES
            ),
            queries.stops_inside(database.source("stops"), site, (), start_ns, end_ns),
            values.rows(database.source(values.MEASUREMENT), site, start_ns, end_ns),
            queries.cycles(database.source("cycles"), site, (), minutes_from_ns, end_ns),
        ]
    )
    yield from batches(site, [facts], [losses], [stops], [cycles])
    yield from values.value_batches(site, [process_values])
