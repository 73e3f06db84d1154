"""HTTP for what people bring in by hand. What changes anything is an administrator's affair, and a program's: a browser
cannot send these types of content to another origin without being asked first.
"""

from collections.abc import Callable
from concurrent.futures import TimeoutError as NotInTime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from center.api import models as answers
from center.api.access import Administering, Viewing
from center.contract.store import StoreUnavailable
from center.ingest import manual as by_hand
from center.ingest.worker import Ingest
from center.runtime.state import CenterState
from wire.parcel import Damaged, Item, read_item

ENVELOPES: Final = "/api/v1/envelopes"
NDJSON: Final = "application/x-ndjson"
MOST_BYTES: Final = 16 * 2**20
_WAIT_S: Final = 60.0
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": answers.Problem} for status in (403, 404, 413, 415, 422, 503)
}
Site = Annotated[str, Query(description="Id of the site.", examples=["van-long"])]
Gateway = Annotated[str, Query(description="Id of the gateway.", examples=["main"])]
Number = Annotated[int, Path(description="Id of the entry, as GET /api/v1/quarantine lists it.")]


def add_by_hand(app: FastAPI, center: CenterState, ingest: Ingest) -> None:
    """The routes."""

    @app.post(ENVELOPES, response_model=answers.Taken, responses=_PROBLEMS, openapi_extra=_body_of(NDJSON, "string"))
    async def envelopes(_viewer: Administering, request: Request, site: Site, gateway: Gateway) -> Any:
        """Envelopes that came on a stick: lines `{"kind", "data"}` as `nhip outbox --export` writes them."""
        if refusal := _refusal(request, NDJSON):
            return refusal
        body = await _body(request)
        if body is None:
            return _problem(413, "bad_question", f"more than {MOST_BYTES} bytes; send fewer lines at once")
        items = []
        for number, line in enumerate(body.splitlines(), 1):
            item = read_item(line, number)
            if isinstance(item, Damaged):
                return _problem(422, "bad_question", f"line {number}: {item.why}")
            items.append(item)
        return await run_in_threadpool(_deliver, center, ingest, (site, gateway), items)

    @app.get("/api/v1/quarantine/{number}", response_model=answers.QuarantinedPayload, responses=_PROBLEMS)
    def quarantined(viewer: Viewing, number: Number) -> Any:
        """One quarantined payload whole: its bytes, and what of it can be read."""
        return _asked(lambda: by_hand.show(center, viewer, number))

    @app.post(
        "/api/v1/quarantine/{number}/replay",
        response_model=answers.Replayed,
        responses=_PROBLEMS,
        openapi_extra=_body_of("application/json", "object"),
    )
    async def replay(_viewer: Administering, request: Request, number: Number) -> Any:
        """Tries a quarantined payload again: after an update, or after a machine was handed over."""
        if refusal := _refusal(request, "application/json"):
            return refusal
        return await run_in_threadpool(_replay, ingest, number)


def _body_of(content_type: str, kind: str) -> dict[str, Any]:
    """What the description says of a body that is read as it comes."""
    return {"requestBody": {"required": True, "content": {content_type: {"schema": {"type": kind}}}}}


def _deliver(center: CenterState, ingest: Ingest, author: tuple[str, str], items: list[Item]) -> Any:
    work = lambda: by_hand.deliver(center, ingest, *author, items)  # noqa: E731
    return _asked(lambda: vars(ingest.submit(work).result(_WAIT_S)))


def _replay(ingest: Ingest, number: int) -> Any:
    def on_worker(number: int) -> None:
        ingest.submit(lambda: ingest.try_again(number)).result(_WAIT_S)

    return _asked(lambda: by_hand.try_again(on_worker, number))


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except by_hand.BadParcel as error:
        return _problem(422, "bad_question", str(error))
    except LookupError as error:
        return _problem(404, "unknown", str(error))
    except StoreUnavailable as error:
        return _problem(503, "store_away", str(error))
    except NotInTime:
        return _problem(503, "store_away", f"not within {_WAIT_S:.0f} s; it goes on, and may be asked again")


async def _body(request: Request) -> bytes | None:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _refusal(request: Request, content_type: str) -> JSONResponse | None:
    if request.headers.get("content-type", "").split(";")[0].strip() != content_type:
        return _problem(415, "bad_question", f"send it as Content-Type: {content_type}")
    return None


def _problem(status: int, name: str, detail: str) -> JSONResponse:
    return JSONResponse({"error": name, "detail": detail}, status)
