"""HTTP for advice: what the nightly run found, and the dismissal of a finding."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine

from center.api.access import Viewing, Writing, address_of
from center.api.advice import finding_answers as answers
from center.api.parameters import V1, AnySite
from center.api.problems import PROBLEMS
from center.database import findings as database
from center.model.kept_finding import KeptFinding
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries.question import UnknownSite, sites_of
from center.runtime.state import CenterState
from oee.advice.life import FindingRecord, dismissed

Record = Callable[[Connection, str, str, KeptFinding], None]
"""Enters a dismissal into the audit trail, in its transaction: who, from which address, and the finding as it is then."""
_AnyMachine = Annotated[str, Query(description="Id of the machine; all machines without it.")]
MOST_REASON: Final = 500
DISMISSIBLE: Final = ("open", "likely")


class DismissalRequest(BaseModel):
    """Why a finding is none. It stays mute for 8 weeks, unless it doubles."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=MOST_REASON)


class FindingsDesk:
    """Reads and dismisses findings for a viewer. The console finds it in the application's state."""

    def __init__(self, center: CenterState, engine: Engine, record: Record) -> None:
        self.engine, self._center, self._record = engine, center, record

    def listed(self, viewer: Viewer, site: str = "", machine: str = "") -> answers.FindingsAnswer:
        """Raises `UnknownSite` or `StoreUnavailable`."""
        sites, last = sites_of(self._center, viewer, site), database.last_night(self.engine)
        kept = database.kept_findings(self.engine, sites, machine=machine)
        trusts = [item for item in database.trusts(self.engine, sites) if machine in ("", item.machine)]
        return answers.findings(self._center, viewer, kept, trusts, last.night_ns if last else None)

    def one(self, viewer: Viewer, number: str) -> answers.FindingDetailAnswer:
        """Raises `UnknownSite` also for a finding that the viewer may not see, or `StoreUnavailable`."""
        return answers.detail(self._center, viewer, self._kept(viewer, number))

    def _kept(self, viewer: Viewer, number: str) -> KeptFinding:
        item = database.kept_finding(self.engine, number)
        stages = answers.stages_for(viewer)
        if item is None or not viewer.sees(item.site) or item.record.stage not in stages or item.record.held:
            raise UnknownSite(f"there is no finding {number[:64]!r}; GET {V1}/findings lists them")
        return item

    def dismiss(self, viewer: Viewer, address: str, number: str, reason: str) -> answers.FindingDetailAnswer:
        """Raises `UnknownSite`, `BadQuestion` for an empty reason or a finding that is not open, or `StoreUnavailable`."""
        text = " ".join(reason.split())[:MOST_REASON]
        if not text or not text.isprintable():
            raise BadQuestion("reason: say in a few words why this is no finding")
        self._kept(viewer, number)
        step = partial(_dismissed, reason=text, by=viewer.name, now_ns=self._center.now_ns())
        item = database.change(self.engine, number, step, lambda c, now: self._record(c, viewer.name, address, now))
        if item is None:
            raise UnknownSite(f"there is no finding {number[:64]!r} any more")
        return answers.detail(self._center, viewer, item)


def _dismissed(record: FindingRecord, reason: str, by: str, now_ns: int) -> FindingRecord:
    if record.stage not in DISMISSIBLE:
        raise BadQuestion(f"this finding is {record.stage}; only one that is open can be dismissed")
    return dismissed(record, reason, by, now_ns)


def add_findings(app: FastAPI, center: CenterState, engine: Engine, record: Record) -> None:
    """The routes."""
    desk = app.state.findings = FindingsDesk(center, engine, record)

    @app.get(f"{V1}/findings", responses=PROBLEMS)
    def listed(viewer: Viewing, site: AnySite = "", machine: _AnyMachine = "") -> answers.FindingsAnswer:
        """What the nightly run found: where data are wrong, then what could be improved, at constraints first."""
        return desk.listed(viewer, site, machine)

    @app.get(f"{V1}/findings/{{finding}}", responses=PROBLEMS)
    def one(viewer: Viewing, finding: str) -> answers.FindingDetailAnswer:
        """One finding, with what it was computed from."""
        return desk.one(viewer, finding)

    @app.post(f"{V1}/findings/{{finding}}/dismiss", responses=PROBLEMS)
    def dismiss(viewer: Writing, request: Request, finding: str, body: DismissalRequest) -> answers.FindingDetailAnswer:
        """Says why a finding is none. The audit trail has an entry."""
        return desk.dismiss(viewer, address_of(request), finding, body.reason)
