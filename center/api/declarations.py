"""HTTP for what people declare about machines: a stop's reason, product, order, rejects, planned stops, changeovers."""

from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from center.api.access import Viewing, Writing
from center.api.models import Answer
from center.api.numbers import PROBLEMS, V1
from center.database import declarations
from center.database.declarations import DeclarationRecord
from center.ingest.declare import Declaring
from center.model.times import BadQuestion, iso, parse_time
from center.model.viewer import Viewer
from center.queries.scope import UnknownSite, zone_of
from center.runtime.state import CenterState
from oee.model.declarations import ENTRIES, Declaration
from oee.model.declarations import Field as Word
from oee.model.states import STATE_BY_WORD, State

_OPEN_ENDED: Final = ("product", "order")
_STATES: Final = tuple(word for word, state in STATE_BY_WORD.items() if state is not State.MINOR_STOP)
AnySite = Annotated[str, Query(description="Id of the site; all sites without it.")]
Machine = Annotated[str, Query(description="Id of the machine; all machines without it.")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="At most so many, the newest.")]


class Said(BaseModel):
    """Somebody's word about a machine's time from `from` to `to`.

    value: key of a reason or product, a state, an order's number, or a number of pieces for rejects and rework; an empty
    one takes back what an earlier one said. to: products and orders hold until further notice without it. product: for
    rejects and rework, the product meant. replaces: the id of the declaration whose place this one takes.
    """

    model_config = ConfigDict(extra="forbid")

    site: str = Field(max_length=64)
    machine: str = Field(max_length=64)
    field: Word
    value: str = Field(default="", max_length=200)
    start: str = Field(alias="from", description="ISO 8601 with offset, or a date alone: its local midnight.")
    end: str | None = Field(default=None, alias="to")
    product: str = Field(default="", max_length=64)
    replaces: str = Field(default="", max_length=64)


class Declared(Answer):
    """A declaration. state: `sent` (the gateway has not answered yet), `done` (the numbers follow it) or `refused`
    (`why` says why); no: its number among its gateway's.
    """

    id: str
    no: int
    site: str
    gateway: str
    machine: str
    field: str
    value: str
    start: str
    end: str | None
    product: str
    who: str
    made: str
    replaces: str
    state: str
    why: str
    decided: str | None


class DeclaredList(Answer):
    """Declarations, the newest first."""

    rows: list[Declared]


def add_declarations(app: FastAPI, center: CenterState, declaring: Declaring) -> None:
    """The routes. The console finds `declaring` in the application's state."""
    app.state.declaring = declaring

    @app.post(f"{V1}/declarations", response_model=Declared, status_code=202, responses=PROBLEMS)
    def declare(viewer: Writing, said: Said) -> Any:
        """Declares something. It travels to the machine's gateway, which alone works out the numbers; the last days can
        be corrected. What became of it is in the list.
        """
        gateway, item = checked(center, viewer, said)
        return shown(center, viewer, declaring.say(said.site, gateway, item))

    @app.get(f"{V1}/declarations", response_model=DeclaredList, responses=PROBLEMS)
    def declared(viewer: Viewing, site: AnySite = "", machine: Machine = "", limit: Limit = 100) -> Any:
        """What was declared here, the newest first, and what became of it."""
        if site:
            zone_of(center, viewer, site)
        asked = [site] if site else viewer.seen(center.ledger_cache.sites.ids())
        rows = declarations.listed(declaring.engine, asked, machine, limit)
        return {"rows": [shown(center, viewer, row) for row in rows]}


def checked(center: CenterState, viewer: Viewer, said: Said) -> tuple[str, Declaration]:
    """The declaration and whose it is. Raises `BadQuestion` or `UnknownSite`."""
    zone = zone_of(center, viewer, said.site)
    owner = center.ledger_cache.sites.owner(said.site, said.machine)
    if owner is None:
        raise UnknownSite(f"site {said.site!r} has no machine {said.machine!r}")
    start_ns = parse_time("from", said.start, zone)
    end_ns = None if said.end is None else parse_time("to", said.end, zone)
    if end_ns is None and said.field not in _OPEN_ENDED:
        raise BadQuestion(f"to: a {said.field} needs an end")
    if end_ns is not None and end_ns <= start_ns:
        raise BadQuestion("to: it must be later than `from`")
    _value(center, said, owner.gateway)
    return owner.gateway, Declaration(
        declarations.new_id(),
        center.now_ns(),
        said.machine,
        start_ns,
        end_ns,
        said.field,
        said.value,
        viewer.name,
        said.product,
        said.replaces,
    )


def _value(center: CenterState, said: Said, gateway: str) -> None:
    """Raises `BadQuestion` for a value that the machine's gateway could not follow."""
    for text in (said.value, said.product, said.replaces):
        if not text.isprintable():
            raise BadQuestion(f"{text[:40]!r} holds characters that nobody can read")
    if not said.value:
        return
    if said.field in ENTRIES and not said.value.strip().isdecimal():
        raise BadQuestion(f"value: {said.value[:40]!r} is no number of pieces")
    told = center.ledger_cache.sites.revisions(said.site, gateway)
    known = {
        "state": _STATES,
        "reason": tuple(told[-1].body.reasons) if told else (),
        "product": tuple(told[-1].body.products) if told else (),
    }.get(said.field, ())
    if known and said.value not in known:
        raise BadQuestion(f"value: no {said.field} {said.value[:40]!r}; there are {', '.join(known)}")


def shown(center: CenterState, viewer: Viewer, kept: DeclarationRecord) -> dict[str, Any]:
    """A declaration as it is answered."""
    zone, said = zone_of(center, viewer, kept.site), kept.said
    return {
        "id": said.id,
        "no": said.no,
        "site": kept.site,
        "gateway": kept.gateway,
        "machine": said.machine,
        "field": said.field,
        "value": said.value,
        "start": iso(said.start_ns, zone),
        "end": None if said.end_ns is None else iso(said.end_ns, zone),
        "product": said.product,
        "who": said.who,
        "made": iso(said.made_ns, zone),
        "replaces": said.supersedes,
        "state": kept.state,
        "why": kept.why,
        "decided": iso(kept.decided_ns, zone) if kept.decided_ns else None,
    }
