"""Process values in the embedded store. Identity is site, gateway, tag and time, enforced like that of facts.

Rows lie in order of arrival, which is nearly that of time, so that zone maps bound every search. An unknown number is
NULL, which is how DuckDB reads NaN from numpy.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import BinsQuery, Origin, RowBatch, ValueBins, ValueQuery
from center.stores.duckdb.file import DuckFile
from center.stores.duckdb.insert import insert_new
from center.stores.fact_tables.columns import repeat_origin
from oee.model.facts import NO_FACTS, NO_LOSSES
from wire.values import Values

CREATE_VALUES: Final = """
CREATE TABLE IF NOT EXISTS process_values (
  site VARCHAR NOT NULL, gateway VARCHAR NOT NULL, tag VARCHAR NOT NULL, t_ns BIGINT NOT NULL,
  number DOUBLE, text VARCHAR, quality UTINYINT NOT NULL)
"""
_IDENTITY: Final = ("site", "gateway", "tag", "t_ns")


def write_values(cursor: DuckDBPyConnection, batches: Sequence[RowBatch]) -> None:
    """Inserts process values whose identity is not there yet, within the caller's transaction."""
    with_values = [batch for batch in batches if len(batch.values)]
    if not with_values:
        return
    lengths = [len(batch.values) for batch in with_values]
    columns = {name: repeat_origin(with_values, name, lengths) for name in ("site", "gateway")}
    for name in ("tag", "t_ns", "number", "text", "quality"):
        columns[name] = np.concatenate([getattr(batch.values, name) for batch in with_values])
    insert_new(cursor, "process_values", columns, _IDENTITY, pruned="t_ns")


_READ: Final = """
WITH selected AS (
  SELECT gateway, tag, t_ns, number, text, quality FROM process_values
  WHERE site = $site AND t_ns >= $back AND t_ns < $end AND list_contains($tags, tag)
    AND ($gateway = '' OR gateway = $gateway)),
before_window AS (SELECT * FROM selected WHERE t_ns < $start
  QUALIFY row_number() OVER (PARTITION BY gateway, tag ORDER BY t_ns DESC) = 1),
inside AS (SELECT * FROM selected WHERE t_ns >= $start ORDER BY t_ns, gateway, tag LIMIT $limit)
SELECT * FROM before_window UNION ALL SELECT * FROM inside ORDER BY gateway, tag, t_ns
"""


def _window(query: ValueQuery | BinsQuery) -> dict[str, Any]:
    return {
        "site": query.site,
        "gateway": query.gateway,
        "tags": list(query.tags),
        "back": query.start_ns - query.back_ns,
        "start": query.start_ns,
        "end": query.end_ns,
    }


def read_values(cursor: DuckDBPyConnection, query: ValueQuery) -> dict[str, Values]:
    """By gateway the rows found."""
    result = cursor.execute(_READ, {**_window(query), "limit": query.limit}).fetchnumpy()
    gateway = np.asarray(result["gateway"], object)
    return {name: _values(result, gateway == name) for name in sorted(set(gateway.tolist()))}


def _values(result: dict[str, Any], rows: "np.ndarray[Any, Any]") -> Values:
    text = np.ma.getdata(result["text"]).astype(object)
    text[np.ma.getmaskarray(result["text"])] = None
    number = np.ma.filled(np.ma.asarray(result["number"], np.float64), np.nan)
    return Values(
        np.asarray(result["tag"], object)[rows],
        np.asarray(result["t_ns"], np.int64)[rows],
        number[rows],
        text[rows],
        np.asarray(result["quality"], np.uint8)[rows],
    )


_BINS: Final = """
WITH selected AS (
  SELECT gateway, tag, t_ns, number FROM process_values
  WHERE site = $site AND t_ns >= $back AND t_ns < $end AND list_contains($tags, tag)
    AND ($gateway = '' OR gateway = $gateway)),
before_window AS (SELECT gateway, tag, -1 AS bin, t_ns, number FROM selected WHERE t_ns < $start
  QUALIFY row_number() OVER (PARTITION BY gateway, tag ORDER BY t_ns DESC) = 1),
inside AS (SELECT gateway, tag, (t_ns - $start) // $width AS bin, t_ns, number FROM selected WHERE t_ns >= $start)
SELECT gateway, tag, bin::BIGINT AS bin, min(number) AS low, max(number) AS high, arg_max_null(number, t_ns) AS last,
  bool_or(number IS NULL) AS lost
FROM (SELECT * FROM before_window UNION ALL SELECT * FROM inside) GROUP BY gateway, tag, bin ORDER BY gateway, tag, bin
"""


def read_bins(file: DuckFile, query: BinsQuery) -> dict[str, ValueBins]:
    """By the contract of `BinsValues`."""
    parameters = {**_window(query), "width": query.width_s * 1_000_000_000}
    with file.reading() as cursor:
        result = cursor.execute(_BINS, parameters).fetchnumpy()
    gateway = np.asarray(result["gateway"], object)
    columns = {name: np.ma.filled(np.ma.asarray(result[name], np.float64), np.nan) for name in ("low", "high", "last")}
    return {
        name: ValueBins(
            np.asarray(result["tag"], object)[rows],
            np.asarray(result["bin"], np.int64)[rows],
            columns["low"][rows],
            columns["high"][rows],
            columns["last"][rows],
            np.asarray(result["lost"], np.bool_)[rows],
        )
        for name in sorted(set(gateway.tolist()))
        for rows in [gateway == name]
    }


def value_batches(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
    """All rows of a window, one batch for each gateway."""
    result = cursor.execute(
        "SELECT gateway, tag, t_ns, number, text, quality FROM process_values WHERE site = ? AND t_ns >= ? AND t_ns < ?"
        " ORDER BY gateway, tag, t_ns",
        [site, start_ns, end_ns],
    ).fetchnumpy()
    gateway = np.asarray(result["gateway"], object)
    for name in sorted(set(gateway.tolist())):
        yield RowBatch(Origin(site, name, ""), 0, NO_FACTS, NO_LOSSES, (), _values(result, gateway == name))


def forget_values(cursor: DuckDBPyConnection, before_ns: int) -> None:
    """Deletes rows older than that."""
    cursor.execute("DELETE FROM process_values WHERE t_ns < ?", [before_ns])
