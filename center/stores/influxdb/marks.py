"""Marks of the streams on the server, for comparison with the ledger after a restore of either."""

from collections.abc import Mapping

from center.contract.streams import StreamKey
from center.stores.influxdb.codec import answers
from center.stores.influxdb.codec.escape import name
from center.stores.influxdb.codec.lines import mark_lines
from center.stores.influxdb.database import InfluxDatabase
from center.stores.influxdb.setup import METADATA
from wire.marks import Marks


class InfluxMarks:
    """A `MarkStore`."""

    def __init__(self, database: InfluxDatabase) -> None:
        self._database = database

    def save(self, marks: Mapping[StreamKey, Marks], writer: str = "") -> None:
        """By the contract of `MarkStore`."""
        self._database.write_metadata(mark_lines(marks, writer))

    def load(self) -> dict[StreamKey, Marks]:
        """By the contract of `MarkStore`."""
        tags = ", ".join(map(name, ("site", "gateway", "stream", "writer")))
        source = self._database.source("marks", METADATA)
        return answers.marks(self._database.ask([f"SELECT beyond, mark FROM {source} GROUP BY {tags}"]))  # noqa: S608  # constants
