"""HTTP for declarations: a stop's reason, a product or order, rejects, planned stops, changeovers."""

from typing import Annotated, Final

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from center.api.access import Viewing, Writing
from center.api.parameters import V1, AnySite
from center.api.problems import PROBLEMS
from center.database import declarations
from center.database.declarations import DeclarationRecord
from center.ingest.declaration_sender import DeclarationSender
from center.model.times import BadQuestion, iso, parse_time
from center.model.viewer import Viewer
from center.queries.entries import doubt
from center.queries.question import UnknownSite, sites_of, zone_of
from center.runtime.state import CenterState
from oee.kpi.entries import MoreThanMade
from oee.model.declarations import ENTRIES, MOST_PIECES, Declaration, is_count
from oee.model.declarations import Field as Word
from oee.model.states import STATE_BY_WORD, State

OPEN_ENDED: Final = ("product", "order")
_STATES: Final = tuple(word for word, state in STATE_BY_WORD.items() if state is not State.MINOR_STOP)
_AnyMachine = Annotated[str, Query(description="Id of the machine; all machines without it.")]
_Limit = Annotated[int, Query(ge=1, le=10_000, description="At most so many, the newest.")]


class DeclarationRequest(BaseModel):
    """A declaration about a machine's time from `from` to `to`.

    value: key of a reason or product, a state, an order's number, or a number of pieces for rejects and rework; an empty
    value withdraws an earlier declaration. to: without it, products and orders hold until further notice. product: for
    rejects and rework, the product concerned. replaces: id of the declaration that this one replaces.
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


class DeclarationAnswer(TypedDict):
    """A declaration. state: `sent` (the gateway has not answered yet), `done` (the numbers reflect it) or `refused`
    (`why` is the reason); no: its number among its gateway's.
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


class DeclarationWarning(TypedDict):
    """What may be wrong with a declaration that was taken. key: `rejects_above_pieces` (more rejects and rework than pieces
    are known for its time); detail: the same in words, with the cure.
    """

    key: str
    detail: str


class DeclarationMadeAnswer(DeclarationAnswer):
    """A declaration that was just made."""

    warnings: list[DeclarationWarning]


class DeclarationListAnswer(TypedDict):
    """Declarations, the newest first."""

    rows: list[DeclarationAnswer]


def add_declarations(app: FastAPI, center: CenterState, declaring: DeclarationSender) -> None:
    """The routes. The console finds `declaring` in the application's state."""
    app.state.declaring = declaring

    @app.post(f"{V1}/declarations", status_code=202, responses=PROBLEMS)
    def declare(viewer: Writing, request: DeclarationRequest) -> DeclarationMadeAnswer:
        """Makes a declaration. It is sent to the machine's gateway, which alone computes the numbers; the last days can
        be corrected. The list shows its outcome. `warnings` say what should be looked at again: what is wrong after all
        is withdrawn by an empty `value` that `replaces` its id.
        """
        gateway, declaration = validate(center, viewer, request)
        found = doubt(center, viewer, request.site, declaration)
        answer = declaration_answer(center, viewer, declaring.declare(request.site, gateway, declaration))
        return {**answer, "warnings": [_warning(found)] if found else []}

    @app.get(f"{V1}/declarations", responses=PROBLEMS)
    def declared(
        viewer: Viewing, site: AnySite = "", machine: _AnyMachine = "", limit: _Limit = 100
    ) -> DeclarationListAnswer:
        """Declarations made at this center, the newest first, with their outcomes."""
        rows = declarations.listed(declaring.engine, sites_of(center, viewer, site), machine, limit)
        return {"rows": [declaration_answer(center, viewer, row) for row in rows]}


def validate(center: CenterState, viewer: Viewer, request: DeclarationRequest) -> tuple[str, Declaration]:
    """The machine's gateway, and the declaration for it. Raises `BadQuestion` or `UnknownSite`."""
    zone = zone_of(center, viewer, request.site)
    owner = center.ledger_cache.sites.owner(request.site, request.machine)
    if owner is None:
        raise UnknownSite(f"site {request.site!r} has no machine {request.machine!r}")
    start_ns = parse_time("from", request.start, zone)
    end_ns = None if request.end is None else parse_time("to", request.end, zone)
    if end_ns is None and request.field not in OPEN_ENDED:
        raise BadQuestion(f"to: a {request.field} needs an end")
    if end_ns is not None and end_ns <= start_ns:
        raise BadQuestion("to: it must be later than `from`")
    _validate_value(center, request, owner.gateway)
    return owner.gateway, Declaration(
        declarations.new_id(),
        center.now_ns(),
        request.machine,
        start_ns,
        end_ns,
        request.field,
        request.value,
        viewer.name,
        request.product,
        request.replaces,
    )


def _validate_value(center: CenterState, request: DeclarationRequest, gateway: str) -> None:
    """Raises `BadQuestion` for a value that the machine's gateway could not apply."""
    for text in (request.value, request.product, request.replaces):
        if not text.isprintable():
            raise BadQuestion(f"{text[:40]!r} holds characters that nobody can read")
    if not request.value:
        return
    if request.field in ENTRIES and not is_count(request.value):
        raise BadQuestion(f"value: {request.value[:40]!r} is no number of pieces up to {MOST_PIECES}")
    revisions = center.ledger_cache.sites.revisions(request.site, gateway)
    allowed = {
        "state": _STATES,
        "reason": tuple(revisions[-1].body.reasons) if revisions else (),
        "product": tuple(revisions[-1].body.products) if revisions else (),
    }.get(request.field, ())
    if allowed and request.value not in allowed:
        raise BadQuestion(f"value: no {request.field} {request.value[:40]!r}; there are {', '.join(allowed)}")


def _warning(found: MoreThanMade) -> DeclarationWarning:
    return {
        "key": "rejects_above_pieces",
        "detail": f"{found.made} pieces are known for this time so far, and {found.bad} would be rejects or rework; "
        "if the number or the time is wrong, withdraw this declaration and enter it again",
    }


def declaration_answer(center: CenterState, viewer: Viewer, record: DeclarationRecord) -> DeclarationAnswer:
    """A declaration as API and console show it."""
    zone, row = zone_of(center, viewer, record.site), record.row
    return {
        "id": row.id,
        "no": row.no,
        "site": record.site,
        "gateway": record.gateway,
        "machine": row.machine,
        "field": row.field,
        "value": row.value,
        "start": iso(row.start_ns, zone),
        "end": None if row.end_ns is None else iso(row.end_ns, zone),
        "product": row.product,
        "who": row.who,
        "made": iso(row.made_ns, zone),
        "replaces": row.supersedes,
        "state": record.state,
        "why": record.why,
        "decided": iso(record.decided_ns, zone) if record.decided_ns else None,
    }
