"""The delivery ledger in a DuckDB file: beside the rows, or in a file of its own beside an InfluxDB."""

from pathlib import Path

from center.contract.ledger import Changes, LedgerSnapshot, QuarantinedPayload, QuarantineSummary
from center.stores.duckdb import ledger_tables
from center.stores.duckdb.facts import read_overfull
from center.stores.duckdb.file import DuckFile
from wire.topics import topics_of


class DuckLedger:
    """A `Ledger`, and `Copyable`. Any thread may call it."""

    def __init__(self, file: DuckFile) -> None:
        self._file = file

    def load(self) -> LedgerSnapshot:
        """By the contract of `Ledger`."""
        with self._file.reading() as cursor:
            return ledger_tables.read_snapshot(cursor)

    def commit(self, changes: Changes) -> Changes:
        """By the contract of `Ledger`."""
        with self._file.writing() as cursor:
            ledger_tables.write_changes(cursor, changes)
            cursor.commit()
        return changes

    def quarantined(self, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
        """By the contract of `Ledger`."""
        with self._file.reading() as cursor:
            return ledger_tables.read_quarantine(cursor, site, limit)

    def waiting(self, site: str, gateway: str, stream: str) -> list[int]:
        """By the contract of `Ledger`."""
        with self._file.reading() as cursor:
            return ledger_tables.read_waiting(cursor, topics_of(site, gateway), stream)

    def prune(self, site: str, gateway: str, most_bytes: int) -> tuple[int, int]:
        """By the contract of `Ledger`."""
        with self._file.writing() as cursor:
            found = ledger_tables.prune_quarantine(cursor, topics_of(site, gateway), most_bytes)
            cursor.commit()
        return found

    def payload(self, number: int) -> QuarantinedPayload | None:
        """By the contract of `Ledger`."""
        with self._file.reading() as cursor:
            return ledger_tables.read_payload(cursor, number)

    def overfull(self) -> list[tuple[str, str, int, int]]:
        """By the contract of `Ledger`."""
        with self._file.reading() as cursor:
            return read_overfull(cursor)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def copy_to(self, target: Path) -> None:
        """By the contract of `Copyable`."""
        self._file.copy_to(target)

    def close(self) -> None:
        """Frees the file."""
        self._file.close()
