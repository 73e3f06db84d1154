"""HTTP for what people at the machines said beside numbers: calls for help, notes, counts by cause."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import FastAPI, Query
from pydantic import Field
from sqlalchemy import Engine
from typing_extensions import TypedDict

from center.api.access import Viewing
from center.api.parameters import V1, AnySite
from center.api.problems import PROBLEMS
from center.database.notices import NoticeRecord, listed
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import sites_of, zone_of
from center.runtime.state import CenterState
from oee.model.calls import Call, CallEvent, calls_of

_AnyMachine = Annotated[str, Query(description="Id of the machine; all machines without it.")]
_Limit = Annotated[int, Query(ge=1, le=10_000, description="At most so many, the newest.")]
_OPEN_CALLS: Final = Query(description="Only calls that have not ended.")


class CallAnswer(TypedDict):
    """A call for help, and when each of its steps was taken; null for a step that was not."""

    id: str
    site: str
    machine: str
    kind: Annotated[str, Field(description="maintenance, quality, material, leader, or a call of the site's own.")]
    by: str
    step: Annotated[str, Field(description="called, on_the_way, arrived, solved or withdrawn.")]
    called: str
    on_the_way: str | None
    arrived: str | None
    solved: str | None
    withdrawn: str | None


class CallListAnswer(TypedDict):
    """Calls, the newest first."""

    rows: list[CallAnswer]


class NoticeAnswer(TypedDict):
    """A note (`text`), or pieces by cause (`about`, `count`), which add up; negative where an entry was taken back."""

    id: str
    site: str
    machine: str
    kind: str
    at: str
    about: str
    text: str
    count: int
    of: str
    by: str


class NoticeListAnswer(TypedDict):
    """Notices, the newest first."""

    rows: list[NoticeAnswer]


def add_calls(app: FastAPI, center: CenterState, engine: Engine) -> None:
    """The routes."""

    @app.get(f"{V1}/calls", responses=PROBLEMS)
    def calls(
        viewer: Viewing,
        site: AnySite = "",
        machine: _AnyMachine = "",
        only_open: Annotated[bool, _OPEN_CALLS] = False,
        limit: _Limit = 100,
    ) -> CallListAnswer:
        """Calls for help at the machines."""
        sites = sites_of(center, viewer, site)
        rows = listed(engine, sites, machine=machine, kinds=("call", "step"), limit=5 * limit)
        found = [call for call in found_calls(rows) if call[2].ended_ns is None or not only_open]
        return {"rows": [_call(center, viewer, *call) for call in found[:limit]]}

    @app.get(f"{V1}/notices", responses=PROBLEMS)
    def notices(
        viewer: Viewing, site: AnySite = "", machine: _AnyMachine = "", limit: _Limit = 100
    ) -> NoticeListAnswer:
        """Notes of shifts, and rejects and rework by cause, as entered at the machines."""
        sites = sites_of(center, viewer, site)
        rows = listed(engine, sites, machine=machine, kinds=("note", "rejects", "rework", "take_back"), limit=limit)
        return {"rows": [_notice(center, viewer, row) for row in rows]}


def found_calls(rows: Iterable[NoticeRecord]) -> list[tuple[str, str, Call]]:
    """Site, gateway and call, the newest first."""
    events: dict[tuple[str, str], list[CallEvent]] = {}
    for row in rows:
        item = row.notice
        is_first = item.kind == "call"
        event = CallEvent(
            item.id if is_first else item.of,
            item.machine,
            "called" if is_first else item.about,
            item.at_ns,
            item.about if is_first else "",
            item.by,
        )
        events.setdefault((row.site, row.gateway), []).append(event)
    found = [(*key, call) for key, items in events.items() for call in calls_of(items)]
    return sorted(found, key=lambda item: (-item[2].called_ns, item[2].id))


def _call(center: CenterState, viewer: Viewer, site: str, _gateway: str, call: Call) -> CallAnswer:
    zone = zone_of(center, viewer, site)

    def at(step: str) -> str | None:
        return iso(call.at_ns[step], zone) if step in call.at_ns else None

    return {
        "id": call.id,
        "site": site,
        "machine": call.machine,
        "kind": call.kind,
        "by": call.by,
        "step": call.step,
        "called": iso(call.called_ns, zone),
        "on_the_way": at("on_the_way"),
        "arrived": at("arrived"),
        "solved": at("solved"),
        "withdrawn": at("withdrawn"),
    }


def _notice(center: CenterState, viewer: Viewer, row: NoticeRecord) -> NoticeAnswer:
    item = row.notice
    return {
        "id": item.id,
        "site": row.site,
        "machine": item.machine,
        "kind": item.kind,
        "at": iso(item.at_ns, zone_of(center, viewer, row.site)),
        "about": item.about,
        "text": item.text,
        "count": item.count,
        "of": item.of,
        "by": item.by,
    }
