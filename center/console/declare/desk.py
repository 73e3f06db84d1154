"""One request about declarations of a machine: what its pages share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request

from center.console import frame
from center.ingest.declaration_sender import DeclarationSender
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState


@dataclass(frozen=True)
class DeclareDesk:
    """One request of a viewer about one machine."""

    request: Request
    center: CenterState
    declaring: DeclarationSender
    viewer: Viewer
    site: str
    machine: str

    @property
    def lang(self) -> str:
        """The language of the page."""
        return frame.language(self.request, self.center)

    @property
    def zone(self) -> ZoneInfo:
        """The site's. Raises `UnknownSite`."""
        return zone_of(self.center, self.viewer, self.site)

    @property
    def machine_row(self) -> Mapping[str, Any]:
        """The machine as the API has it. Raises `UnknownSite`."""
        rows = queries.machines(self.center, self.viewer, self.site)
        found = next((row for row in rows if row["id"] == self.machine), None)
        if found is None:
            raise UnknownSite(f"site {self.site!r} has no machine {self.machine!r}")
        return found
