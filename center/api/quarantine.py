"""HTTP for offline transfer of envelopes, and for quarantined payloads.

Only administrators may change anything here, and only programs: a browser cannot send these content types to another
origin without a CORS preflight.
"""

from collections.abc import Callable, Collection
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from center.api.access import Administering, Viewing, address_of
from center.api.problems import Problem, problem
from center.contract.store import StoreUnavailable
from center.ingest import manual_import
from center.ingest.boxes import DECISIONS, Decision, held_streams
from center.ingest.worker import Ingest
from center.queries.quarantine import QuarantinedPayloadAnswer, quarantined_payload
from center.runtime.state import CenterState
from wire.offline_transfer import DamagedLine, TransferItem, read_item

ENVELOPES: Final = "/api/v1/envelopes"
NDJSON: Final = "application/x-ndjson"
MOST_BYTES: Final = 16 * 2**20
_WAIT_S: Final = 60.0
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem} for status in (403, 404, 413, 415, 422, 503)
}
Act = Literal["accept", "discard"]
DecisionRecord = Callable[[str, str, Act, str, str], None]
"""Enters a decision into the audit trail: who, from which address, what, about which gateway and stream ("": all). Raises
`StoreUnavailable`.
"""
_Site = Annotated[str, Query(description="Id of the site.", examples=["van-long"])]
_Gateway = Annotated[str, Query(description="Id of the gateway.", examples=["main"])]
_SitePath = Annotated[str, Path(description="Id of the site.", examples=["van-long"])]
_GatewayPath = Annotated[str, Path(description="Id of the gateway.", examples=["main"])]
_Stream = Annotated[str, Query(description="Only this stream.")]
_Number = Annotated[int, Path(description="Id of the entry, as GET /api/v1/quarantine lists it.")]


class ReplayedAnswer(TypedDict):
    """released: whether it is now stored and has left the quarantine; reason: why not."""

    id: int
    released: bool
    reason: str


class TransferAnswer(TypedDict):
    """Outcomes of imported envelopes. unsound: now in quarantine; refused: of another kind than their stream, or no room."""

    envelopes: int
    settled: int
    unsound: int
    refused: int


class DecisionAnswer(TypedDict):
    """What became of the payloads that waited. envelopes: stored, or deleted; kept: still in quarantine."""

    envelopes: int
    kept: int
    streams: list[str]


class Undecided(Exception):
    """Something else waits for a decision than whoever decides has seen."""


class BoxDecisions:
    """Decides about a second box that runs as a gateway, with an entry in the audit trail. The console finds it in the
    application's state.
    """

    def __init__(self, center: CenterState, ingest: Ingest, record: DecisionRecord) -> None:
        self._center, self._ingest, self._record = center, ingest, record

    def __call__(
        self, act: Act, who: str, address: str, whose: tuple[str, str, str], seen: Collection[str] | None = None
    ) -> Decision:
        """Returns when it is done; the entry comes first. whose: site, gateway, and the stream or "" for all; seen: the
        streams that are to be held, so that a decision that is sent twice is not a second one; None for any.

        Raises `LookupError` if nothing waits, `Undecided`, `StoreUnavailable` or, while it continues, `TimeoutError`.
        """
        site, gateway, stream = whose

        def work() -> Decision:
            if seen is not None and {key.stream for key in held_streams(self._center.ledger_cache, site, gateway)} != {
                *seen
            }:
                raise Undecided(f"another decision about gateway {gateway} of {site} was made meanwhile")
            enter = lambda: self._record(who, address, act, f"{site}/{gateway}", stream)  # noqa: E731
            return DECISIONS[act](self._center, self._ingest.settler, site, gateway, stream, enter)

        return self._ingest.submit(work).result(_WAIT_S)


def add_quarantine(app: FastAPI, center: CenterState, ingest: Ingest, decisions: BoxDecisions) -> None:
    """The routes."""
    app.state.box_decisions = decisions

    @app.post(
        ENVELOPES,
        response_model=TransferAnswer,
        responses=_PROBLEMS,
        openapi_extra={**_body_of(NDJSON, "string"), "x-most-bytes": MOST_BYTES},
    )
    async def envelopes(_viewer: Administering, request: Request, site: _Site, gateway: _Gateway) -> Any:
        """Imports envelopes of an offline transfer: lines `{"kind", "data"}` as `nhip outbox --export` writes them."""
        if refusal := _refusal(request, NDJSON):
            return refusal
        items = []
        for number, line in enumerate((await request.body()).splitlines(), 1):
            item = read_item(line, number)
            if isinstance(item, DamagedLine):
                return problem(422, "bad_question", f"line {number}: {item.why}")
            items.append(item)
        return await run_in_threadpool(_deliver, center, ingest, (site, gateway), items)

    @app.get("/api/v1/quarantine/{number}", response_model=QuarantinedPayloadAnswer, responses=_PROBLEMS)
    def quarantined(viewer: Viewing, number: _Number) -> Any:
        """One quarantined payload: its bytes, and its content as far as it can be read."""
        return _answer(lambda: quarantined_payload(center, viewer, number))

    @app.post(
        "/api/v1/quarantine/{number}/replay",
        response_model=ReplayedAnswer,
        responses=_PROBLEMS,
        openapi_extra=_body_of("application/json", "object"),
    )
    async def replay(_viewer: Administering, request: Request, number: _Number) -> Any:
        """Retries a quarantined payload: after an update, or after a machine was handed over."""
        if refusal := _refusal(request, "application/json"):
            return refusal
        return await run_in_threadpool(_replay, ingest, number)

    @app.post(
        "/api/v1/quarantine/{site}/{gateway}/{act}",
        response_model=DecisionAnswer,
        responses=_PROBLEMS,
        openapi_extra=_body_of("application/json", "object"),
    )
    async def decide(
        viewer: Administering,
        request: Request,
        site: _SitePath,
        gateway: _GatewayPath,
        act: Annotated[Act, Path(description="Whether what waits counts from now on.")],
        stream: _Stream = "",
    ) -> Any:
        """Decides about a second box that runs as this gateway: what waits of it is stored, and the other one waits from
        now on; or it is deleted.
        """
        if refusal := _refusal(request, "application/json"):
            return refusal
        who = (viewer.name, address_of(request))
        return await run_in_threadpool(_answer, lambda: asdict(decisions(act, *who, (site, gateway, stream))))


def _body_of(content_type: str, kind: str) -> dict[str, Any]:
    """The OpenAPI description of a body that the route reads itself."""
    return {"requestBody": {"required": True, "content": {content_type: {"schema": {"type": kind}}}}}


def _deliver(center: CenterState, ingest: Ingest, author: tuple[str, str], items: list[TransferItem]) -> Any:
    work = lambda: manual_import.import_envelopes(center, ingest, *author, items)  # noqa: E731
    return _answer(lambda: vars(ingest.submit(work).result(_WAIT_S)))


def _replay(ingest: Ingest, number: int) -> Any:
    def on_worker(number: int) -> None:
        ingest.submit(lambda: ingest.settler.replay(number)).result(_WAIT_S)

    return _answer(lambda: manual_import.replay_payload(on_worker, number))


def _answer(compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except manual_import.BadImport as error:
        return problem(422, "bad_question", str(error))
    except LookupError as error:
        return problem(404, "unknown", str(error))
    except StoreUnavailable as error:
        return problem(503, "store_away", str(error))
    except NotInTime:
        return problem(
            503, "store_away", f"not finished within {_WAIT_S:.0f} s; it continues, and the request may be repeated"
        )


def _refusal(request: Request, content_type: str) -> JSONResponse | None:
    if request.headers.get("content-type", "").split(";")[0].strip() != content_type:
        return problem(415, "bad_question", f"send it as Content-Type: {content_type}")
    return None
