"""The embedded store's tables.

Facts, losses and stops have no primary key: identity is enforced by an anti-join over the minutes of the batch, which
zone maps of `minute_ns` make as fast as an index (measured on 8.6 million rows: 6 ms for 200 rows either way) at 36
bytes a row instead of 146, and without an index that must fit into memory. There is one writer, so no race is possible.
Small tables are updated in place: their keys never change, so an update is no deletion and the file stays small (3,000
updates of 200 rows: 0.8 MB).

`facts_hour`, `facts_day` and the same of losses are sums of the minute rows (`rollups/tables.py`), without stream and n.
"""

# ruff: noqa: S608  # statements are built from constants

from typing import Final

from center.stores.fact_tables.schema import CREATE_TABLES, SUMMED, column_definitions

FACT_IDENTITY: Final = ("site", "stream", "machine", "minute_ns", "n")
MACHINE_TABLES: Final = (
    *(f"{table}{level}" for table in SUMMED for level in ("", "_hour", "_day")),
    "stops",
    "overfull",
    "cycles",
)
"""All tables whose rows are about a machine."""
STOP_IDENTITY: Final = ("site", "machine", "id", "start_ns", "revision")

CREATE_ROLLUPS: Final = (
    "\n".join(
        f"CREATE TABLE {table}{level} ({column_definitions(keys, sums, ())});"
        for table, (keys, sums) in SUMMED.items()
        for level in ("_hour", "_day")
    )
    + """
CREATE TABLE stale_hours (site VARCHAR NOT NULL, start_ns BIGINT NOT NULL);
CREATE TABLE stale_days (site VARCHAR NOT NULL, start_ns BIGINT NOT NULL);
"""
)
UPGRADES: Final = {
    "1": CREATE_ROLLUPS + "INSERT INTO stale_hours SELECT DISTINCT site, minute_ns - minute_ns % 3600000000000 FROM "
    "(SELECT site, minute_ns FROM facts UNION ALL SELECT site, minute_ns FROM losses);",
    "2": """
ALTER TABLE streams ADD COLUMN IF NOT EXISTS first_ns BIGINT DEFAULT 0;
ALTER TABLE streams ADD COLUMN IF NOT EXISTS covers VARCHAR DEFAULT '[]';
ALTER TABLE streams ADD COLUMN IF NOT EXISTS held_from BIGINT DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS stream VARCHAR DEFAULT '';
UPDATE streams SET covers = spans.covers FROM (
  SELECT site, stream, '[[' || (min(minute_ns) // 60000000000) || ', ' || (max(minute_ns) // 60000000000) || ']]' AS covers
  FROM facts GROUP BY site, stream) spans
WHERE streams.kind = 'facts' AND spans.site = streams.site AND spans.stream = streams.stream;
""",
}
"""By version of a file the statements that upgrade it to the next version."""
CREATE: Final = f"""
CREATE TABLE meta (key VARCHAR NOT NULL, value VARCHAR NOT NULL);
{CREATE_TABLES}
{CREATE_ROLLUPS}
CREATE TABLE stops (
  site VARCHAR NOT NULL, machine VARCHAR NOT NULL, id VARCHAR NOT NULL, start_ns BIGINT NOT NULL, end_ns BIGINT,
  state UTINYINT NOT NULL, reason VARCHAR NOT NULL, said_by VARCHAR NOT NULL, product VARCHAR NOT NULL,
  to_product VARCHAR NOT NULL, revision BIGINT NOT NULL);
CREATE TABLE streams (
  site VARCHAR NOT NULL, gateway VARCHAR NOT NULL, stream VARCHAR NOT NULL, kind VARCHAR NOT NULL,
  mark BIGINT NOT NULL, beyond VARCHAR NOT NULL, stored BIGINT NOT NULL, quarantined BIGINT NOT NULL,
  dropped BIGINT NOT NULL, discarded BIGINT NOT NULL, duplicates BIGINT NOT NULL, conflicts BIGINT NOT NULL,
  seen_ns BIGINT NOT NULL, first_ns BIGINT DEFAULT 0, covers VARCHAR DEFAULT '[]', held_from BIGINT DEFAULT 0);
CREATE TABLE digests (
  site VARCHAR NOT NULL, gateway VARCHAR NOT NULL, stream VARCHAR NOT NULL, seq BIGINT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE owners (
  site VARCHAR NOT NULL, machine VARCHAR NOT NULL, gateway VARCHAR NOT NULL, first_ns BIGINT NOT NULL);
CREATE TABLE sites (
  site VARCHAR NOT NULL, gateway VARCHAR NOT NULL, config_hash VARCHAR NOT NULL, valid_from_ns BIGINT NOT NULL,
  body VARCHAR NOT NULL);
CREATE SEQUENCE quarantine_id;
CREATE TABLE quarantine (
  id BIGINT NOT NULL DEFAULT nextval('quarantine_id'), at_ns BIGINT NOT NULL, topic VARCHAR NOT NULL,
  reason VARCHAR NOT NULL, payload BLOB NOT NULL, digest BLOB NOT NULL, settled BOOLEAN NOT NULL, stream VARCHAR DEFAULT '');
CREATE TABLE overfull (
  site VARCHAR NOT NULL, machine VARCHAR NOT NULL, minute_ns BIGINT NOT NULL, ms BIGINT NOT NULL);
"""
