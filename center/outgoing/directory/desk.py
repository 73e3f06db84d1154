"""The directory for a viewer: who sees which firm, and who may change it.

Everybody with an account sees firms whose entry is shown. A connected factory's own people and the center's people who are assigned to it
see its entry too; firms that are not connected and not shown are seen by the center's people. An entry of a factory is its
owner's; the center's people keep all others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Engine

from center.database.directory import Firm, firms, put_firm, put_firms, remove_firm
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.outgoing.directory.files import UnreadableFile, table_of_file, written_words
from center.outgoing.directory.rows import COLUMNS, RowComplaint, is_found, read_rows
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState

RecordChanged = Callable[[Connection, str, str, str, Firm | None, dict[str, int]], None]
"""Enters a change into the audit trail in its own transaction: who, from which address, what, the firm, and counts."""
MOST_FIRMS: Final = 20_000


class NotYours(Exception):
    """The viewer may see an entry and may not change it; the text says who may."""


@dataclass(frozen=True)
class DirectoryDesk:
    """Found in the application's state. All methods raise `StoreUnavailable`."""

    center: CenterState
    engine: Engine
    record: RecordChanged

    def seen(self, viewer: Viewer) -> list[Firm]:
        """The firms that the viewer may see, by name."""
        return [firm for firm in firms(self.engine) if sees(viewer, firm)]

    def found(self, viewer: Viewer, asked: str = "", trade: str = "", kind: str = "") -> list[Firm]:
        """Those among them that a search finds."""
        return [firm for firm in self.seen(viewer) if is_found(firm, asked, trade, kind)]

    def set_row(self, viewer: Viewer, address: str, site: str, cells: dict[str, str]) -> Firm | list[RowComplaint]:
        """Sets an entry: of a site by its owner, or of a firm that is not connected by the center's people. cells: by column as in a
        file. What is wrong comes back instead. Raises `NotYours`, and `UnknownSite` for a site that the viewer may not see.
        """
        if site:
            zone_of(self.center, viewer, site)
        if not viewer.may("own" if site else "aim"):
            raise NotYours(
                "the entry of a factory is its owner's; all others are kept by the center's engineers and administrators"
            )
        table = [list(COLUMNS), [cells.get(column, "") for column in COLUMNS]]
        read, bad = read_rows(table, written_words(), viewer.name[:80], self.center.now_ns())
        if bad or not read:
            return bad or [RowComplaint(2, "", "", "empty")]
        return put_firm(
            self.engine,
            replace(read[0], site=site),
            lambda connection, what, firm: self.record(connection, viewer.name, address, what, firm, {}),
        )

    def take(self, viewer: Viewer, address: str, content: bytes) -> tuple[int, int] | list[RowComplaint]:
        """Takes a file of firms that are not connected, all of it or nothing: how many are new and how many changed, or what is wrong. Raises
        `NotYours` and `BadQuestion` for a file that is no table.
        """
        if not viewer.may("aim"):
            raise NotYours("files are taken from the center's engineers and administrators")
        try:
            table = table_of_file(content)
        except UnreadableFile as error:
            raise BadQuestion(f"file: {error}") from error
        read, bad = read_rows(table, written_words(), viewer.name[:80], self.center.now_ns())
        if bad:
            return bad
        if len(firms(self.engine)) + len(read) > MOST_FIRMS:
            raise BadQuestion(f"file: the directory has at most {MOST_FIRMS} firms")
        return put_firms(
            self.engine,
            read,
            lambda connection, new, changed: self.record(
                connection, viewer.name, address, "imported", None, {"new": new, "changed": changed}
            ),
        )

    def remove(self, viewer: Viewer, address: str, number: str) -> None:
        """Removes an entry. Raises `NotYours`, and `UnknownSite` for one that the viewer may not see."""
        firm = next((item for item in self.seen(viewer) if item.id == number), None)
        if firm is None:
            raise UnknownSite(f"there is no firm {number[:64]!r}; GET /api/v1/directory lists them")
        if not changes(viewer, firm):
            raise NotYours(
                "the entry of a factory is its owner's; all others are kept by the center's engineers and administrators"
            )
        remove_firm(
            self.engine,
            firm,
            lambda connection, what, item: self.record(connection, viewer.name, address, what, item, {}),
        )


def sees(viewer: Viewer, firm: Firm) -> bool:
    """Whether the viewer may see an entry."""
    return firm.shown or (viewer.sees(firm.site) if firm.site else viewer.may("aim"))


def changes(viewer: Viewer, firm: Firm) -> bool:
    """Whether the viewer may change or remove an entry."""
    return viewer.may("own") and viewer.sees(firm.site) if firm.site else viewer.may("aim")
