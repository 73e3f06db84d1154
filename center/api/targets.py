"""HTTP for targets: which there are and which count; administrators and engineers of the center set them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine
from typing_extensions import TypedDict

from center.api.access import Aiming, Viewing, address_of
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS, problem
from center.database.targets import prepare_targets, set_target, targets_of, withdraw_target
from center.model.sites import lines_of, newest_bodies
from center.model.targets import MOST, SaidTarget, is_possible
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries.question import UnknownSite, require_machines, zone_of
from center.queries.targets import TargetsAnswer
from center.queries.targets import targets as targets_answer
from center.runtime.state import CenterState

RecordTarget = Callable[[Connection, str, str, str, SaidTarget], None]
"""Enters a change into the audit trail in its own transaction: who, from which address, what, and the target."""
Kind = Literal["oee", "availability", "performance", "quality", "pieces", "takt_s"]
_LONGEST: Final = 200
_Key = Annotated[str, Field(max_length=_LONGEST)]
_Day = Annotated[date | None, Query(description="A day (ISO 8601); today without it.")]


class TargetPlace(BaseModel):
    """What a target is about."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[_Key, Field(description="Id of the site.", examples=["van-long"])]
    line: Annotated[_Key, Field(description="A line; empty for any.")] = ""
    machine: Annotated[_Key, Field(description="A machine; empty for any.", examples=["press-1"])] = ""
    product: Annotated[_Key, Field(description="A product; empty for any.")] = ""
    since: Annotated[date | None, Field(description="The first day on which it holds; null for always.")] = None
    kind: Annotated[Kind, Field(description="What is aimed at; pieces in a shift, takt_s in seconds a piece.")]


class TargetRequest(TargetPlace):
    """A target to be set."""

    value: Annotated[float, Field(gt=0, le=1e9, description="A ratio of at most 1, pieces, or seconds.")]


class WithdrawnAnswer(TypedDict):
    """What was withdrawn."""

    withdrawn: bool


@dataclass(frozen=True)
class TargetDesk:
    """Sets and withdraws targets, with entries in the audit trail. The console finds it in the application's state."""

    center: CenterState
    engine: Engine
    record: RecordTarget

    def set(self, viewer: Viewer, address: str, asked: TargetRequest) -> SaidTarget:
        """Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`."""
        target = self._checked(viewer, asked, asked.value)
        if not is_possible(target.kind, target.value):
            raise BadQuestion(f"value: a target of {target.kind} is above 0 and at most {MOST[target.kind]:g}")
        set_target(self.engine, target, partial(self._write, viewer, address))
        return target

    def withdraw(self, viewer: Viewer, address: str, place: TargetPlace) -> bool:
        """False if no such target was set here. Raises `UnknownSite` or `StoreUnavailable`."""
        zone_of(self.center, viewer, place.site)
        target = self._said(viewer, place, 0.0)
        return withdraw_target(self.engine, target, partial(self._write, viewer, address))

    def _write(self, viewer: Viewer, address: str, connection: Connection, what: str, target: SaidTarget) -> None:
        self.record(connection, viewer.name, address, what, target)

    def _said(self, viewer: Viewer, place: TargetPlace, value: float) -> SaidTarget:
        at_ns, texts = self.center.now_ns(), (place.site, place.line, place.machine, place.product)
        return SaidTarget(*texts, place.since, place.kind, value, viewer.name, at_ns)

    def _checked(self, viewer: Viewer, place: TargetPlace, value: float) -> SaidTarget:
        """The target, if everything that it names exists."""
        zone_of(self.center, viewer, place.site)
        sites = self.center.ledger_cache.sites
        if place.line and place.machine:
            raise BadQuestion("line, machine: a target is for a line or for a machine; leave one of them out")
        if place.machine:
            require_machines(self.center, place.site, (place.machine,))
        lines = {span.line for name in sites.machines(place.site) for span in lines_of(sites, place.site, name)[-1:]}
        if place.line and place.line not in lines:
            raise UnknownSite(
                f"line {place.line[:64]!r} is unknown in site {place.site!r}; it has {', '.join(sorted(lines - {''}))[:200]}"
            )
        products = {key for body in newest_bodies(sites, place.site) for key in body.products}
        if place.product and place.product not in products:
            raise UnknownSite(f"product {place.product[:64]!r} is unknown in site {place.site!r}")
        return replace(self._said(viewer, place, value))


def add_targets(app: FastAPI, center: CenterState, engine: Engine, record: RecordTarget) -> None:
    """The routes, and the targets that were set here for every query from now on."""
    prepare_targets(engine)
    center.said_targets.connect(partial(targets_of, engine))
    desk = app.state.targets = TargetDesk(center, engine, record)

    @app.get(f"{V1}/targets", responses=PROBLEMS)
    def targets(viewer: Viewing, site: SiteName, day: _Day = None) -> TargetsAnswer:
        """Every target of a site, of its site files and of the center, and which one counts for each machine."""
        return targets_answer(center, viewer, site, day)

    @app.put(f"{V1}/targets", responses=PROBLEMS)
    def put_target(viewer: Aiming, request: Request, target: TargetRequest) -> TargetsAnswer:
        """Sets a target, in place of the center's own of the same kind, place and day."""
        desk.set(viewer, address_of(request), target)
        return targets_answer(center, viewer, target.site)

    @app.delete(f"{V1}/targets", responses=PROBLEMS, response_model=WithdrawnAnswer)
    def delete_target(viewer: Aiming, request: Request, place: Annotated[TargetPlace, Query()]) -> Any:
        """Withdraws a target that was set here; those of the site file stay."""
        if not desk.withdraw(viewer, address_of(request), place):
            return problem(404, "unknown", "nobody set such a target here; GET /api/v1/targets lists those that are")
        return {"withdrawn": True}
