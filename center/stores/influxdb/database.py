"""One database on an InfluxDB server: where rows and metadata lie, and how they are written and read."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from center.contract.store import StoreRefused, StoreUnavailable
from center.stores.influxdb.codec import values
from center.stores.influxdb.codec.escape import field_text, literal, name, unpack
from center.stores.influxdb.server import InfluxServer
from center.stores.influxdb.setup import METADATA, ROWS

MACHINE_MEASUREMENTS: Final = ("facts", "losses", "stops", "facts_hour", "losses_hour", "cycles")
"""All measurements whose rows are about a machine."""


class InfluxDatabase:
    """Two retention policies, for rows and for metadata (see `setup`). Any thread may use it."""

    def __init__(self, server: InfluxServer, database: str) -> None:
        self.server, self.name = server, database
        self._is_2x = is_2x = bool(server.address.org)
        self._rows_bucket = database if is_2x else f"{database}/{ROWS}"
        self._metadata_bucket = f"{database}-books" if is_2x else f"{database}/{METADATA}"

    def source(self, measurement: str, policy: str = ROWS) -> str:
        """A measurement as InfluxQL names it after FROM."""
        return f"{name(self.name)}.{name(policy)}.{name(measurement)}"

    def sources(self, measurement: str) -> tuple[str, str]:
        """The measurement of rows, and that of their hourly sums."""
        return self.source(measurement), self.source(f"{measurement}_hour", METADATA)

    def ask(self, statements: Sequence[str]) -> list[dict[str, Any]]:
        """The results of InfluxQL statements. Raises `StoreUnavailable`."""
        return self.server.ask(statements, self.name)

    def write_rows(self, lines: Sequence[str]) -> None:
        """Writes rows. Raises `StoreUnavailable`, or `StoreRefused` after all other lines were written."""
        self.server.write(self._rows_bucket, lines)

    def write_metadata(self, lines: Sequence[str]) -> None:
        """Writes metadata: marks, versions and sums of hours. Raises `StoreUnavailable`."""
        try:
            self.server.write(self._metadata_bucket, lines)
        except StoreRefused as error:
            raise StoreUnavailable(f"{self.server.address.url}: metadata is refused: {error}") from error

    def delete(self, measurements: Sequence[str], tags: Mapping[str, str]) -> None:
        """Deletes the rows with these tags, of rows and of metadata. Raises `StoreUnavailable`."""
        if not self._is_2x:
            where = " AND ".join(f"{name(key)} = {literal(text)}" for key, text in tags.items())
            self.ask([f"DELETE FROM {name(item)} WHERE {where}" for item in measurements])  # noqa: S608  # escaped
            return
        parts = [f"{key}={field_text(text)}" for key, text in tags.items()]
        for bucket in (self._rows_bucket, self._metadata_bucket):
            for measurement in measurements:
                self.server.delete(bucket, " AND ".join([f'_measurement="{measurement}"', *parts]))

    def sites(self) -> list[str]:
        """All sites that ever had rows. 2.x lists tags of the default policy only, so the hours tell of the sites whose rows
        are deleted.
        """
        hours = f"SELECT {name('touched')} FROM {self.source('hours', METADATA)} GROUP BY {name('site')} LIMIT 1"  # noqa: S608
        tags, numbered = self.ask([f"SHOW TAG VALUES ON {name(self.name)} WITH KEY = {name('site')}", hours])
        measurements = ("facts", "losses", "stops", values.MEASUREMENT, "facts_hour", "losses_hour")
        packed = {row[1] for item in tags.get("series", ()) if item["name"] in measurements for row in item["values"]}
        packed |= {item["tags"]["site"] for item in numbered.get("series", ())}
        return sorted(map(unpack, packed))
