"""What a site's monthly reports aim at beside its targets, and which papers they refer to: for a viewer, and HTTP for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine
from typing_extensions import TypedDict

from center.api.access import Aiming, Viewing, address_of
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS
from center.database.month_papers import (
    MonthObjective,
    MonthReference,
    objectives_of,
    prepare_month_papers,
    references_of,
    write_paper,
)
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.outgoing.monthly.content import PPM, is_month
from center.queries.question import require_machines, zone_of
from center.runtime.state import CenterState
from oee.model.calendars import local_date

RecordWritten = Callable[[Connection, str, str, MonthObjective | MonthReference], None]
"""Enters what was written into the audit trail in its own transaction: who, and from which address."""
ObjectiveKind = Literal["mtbf_s", "mttr_s", "pm", "planned_share"]
Topic = Literal["parts", "resources", "customer", "methods", "other"]
_MOST: Final = {"mtbf_s": 3.2e8, "mttr_s": 3.2e7, "pm": 1.0, "planned_share": 1.0}
MOST_REFERENCES: Final = 100


class ObjectiveRequest(BaseModel):
    """What is to be reached from a month on. value: seconds, or a ratio; null where nothing is aimed at any more."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64, examples=["van-long"])]
    machine: Annotated[str, Field(max_length=64, description="Empty for all together.")] = ""
    kind: ObjectiveKind
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d$", examples=["2026-02"])]
    value: Annotated[float | None, Field(gt=0)] = None


class ReferenceRequest(BaseModel):
    """A paper that is kept elsewhere; without place, edition and owner it is no longer referred to."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64, examples=["van-long"])]
    topic: Topic
    title: Annotated[str, Field(min_length=1, max_length=200, examples=["Danh mục phụ tùng"])]
    place: Annotated[str, Field(max_length=200)] = ""
    edition: Annotated[str, Field(max_length=80)] = ""
    owner: Annotated[str, Field(max_length=80)] = ""


class ObjectiveAnswer(TypedDict):
    """An objective that holds. value: seconds, or a ratio."""

    machine: str
    kind: ObjectiveKind
    since: str
    value: float
    by: str


class ReferenceAnswer(TypedDict):
    """A paper that is kept elsewhere."""

    topic: Topic
    title: str
    place: str
    edition: str
    owner: str
    by: str


class PapersAnswer(TypedDict):
    """What reports of a month refer to."""

    month: str
    objectives: list[ObjectiveAnswer]
    references: list[ReferenceAnswer]


@dataclass(frozen=True)
class PaperDesk:
    """Found in the application's state. All methods raise `UnknownSite` also for what the viewer may not see, `BadQuestion`, and
    `StoreUnavailable`.
    """

    center: CenterState
    engine: Engine
    record: RecordWritten

    def listed(self, viewer: Viewer, site: str) -> PapersAnswer:
        """What holds in the month that is now."""
        month = f"{local_date(zone_of(self.center, viewer, site), self.center.now_ns()):%Y-%m}"
        return {
            "month": month,
            "objectives": [_objective(item) for item in objectives_of(self.engine, site, month)],
            "references": [_reference(item) for item in references_of(self.engine, site)],
        }

    def aim(self, viewer: Viewer, address: str, asked: ObjectiveRequest) -> None:
        """Sets an objective, or takes it back."""
        zone_of(self.center, viewer, asked.site)
        if asked.machine:
            require_machines(self.center, asked.site, (asked.machine,))
        if not is_month(asked.since):
            raise BadQuestion(f"since: {asked.since!r} is no month; write for example 2026-02")
        if asked.value is not None and not asked.value <= _MOST[asked.kind]:
            raise BadQuestion(f"value: {asked.value:g} is more than {_MOST[asked.kind]:g}, the most for {asked.kind}")
        if asked.kind == "planned_share" and asked.machine:
            raise BadQuestion("machine: the planned maintenance share is of all machines together; leave it empty")
        value_u = None if asked.value is None else round(asked.value * PPM)
        by, now_ns = viewer.name[:80], self.center.now_ns()
        item = MonthObjective(asked.site, asked.machine, asked.kind, asked.since, value_u, by, now_ns)
        self._write(viewer, address, item)

    def refer(self, viewer: Viewer, address: str, asked: ReferenceRequest) -> None:
        """Says where a paper is kept, or that it is no longer referred to."""
        zone_of(self.center, viewer, asked.site)
        title, place, edition, owner = (
            " ".join(text.split()) for text in (asked.title, asked.place, asked.edition, asked.owner)
        )
        if not title:
            raise BadQuestion("title: a paper needs a name; write for example Danh mục phụ tùng")
        if len(references_of(self.engine, asked.site)) >= MOST_REFERENCES and (place or edition or owner):
            raise BadQuestion(f"site: {asked.site!r} refers to {MOST_REFERENCES} papers, which is all it may")
        by, now_ns = viewer.name[:80], self.center.now_ns()
        self._write(viewer, address, MonthReference(asked.site, asked.topic, title, place, edition, owner, by, now_ns))

    def _write(self, viewer: Viewer, address: str, item: MonthObjective | MonthReference) -> None:
        write_paper(self.engine, item, lambda connection, row: self.record(connection, viewer.name, address, row))


def _objective(item: MonthObjective) -> ObjectiveAnswer:
    value = (item.value_u or 0) / PPM
    return {"machine": item.machine, "kind": item.kind, "since": item.since, "value": value, "by": item.by}  # type: ignore[typeddict-item]


def _reference(item: MonthReference) -> ReferenceAnswer:
    return {
        "topic": item.topic,  # type: ignore[typeddict-item]  # as it was checked when it was written
        "title": item.title,
        "place": item.place,
        "edition": item.edition,
        "owner": item.owner,
        "by": item.by,
    }


def add_papers(app: FastAPI, desk: PaperDesk) -> None:
    """The routes; pages find the desk in the application's state."""
    prepare_month_papers(desk.engine)
    app.state.papers = desk

    @app.get(f"{V1}/months/papers", responses=PROBLEMS)
    def month_papers(viewer: Viewing, site: SiteName) -> PapersAnswer:
        """What monthly reports aim at beside the targets, and the papers that they refer to."""
        return desk.listed(viewer, site)

    @app.put(f"{V1}/months/objectives", responses=PROBLEMS)
    def set_objective(viewer: Aiming, request: Request, asked: ObjectiveRequest) -> PapersAnswer:
        """Sets an objective for MTBF, MTTR, PM compliance or the planned maintenance share from a month on, or takes it back."""
        desk.aim(viewer, address_of(request), asked)
        return desk.listed(viewer, asked.site)

    @app.put(f"{V1}/months/references", responses=PROBLEMS)
    def set_reference(viewer: Aiming, request: Request, asked: ReferenceRequest) -> PapersAnswer:
        """Says where a paper is kept that monthly reports refer to, or that it is no longer referred to."""
        desk.refer(viewer, address_of(request), asked)
        return desk.listed(viewer, asked.site)
