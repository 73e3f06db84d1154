"""HTTP for the directory of trades, machine kinds and firms: search, entries, files in and out."""

from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from center.api.access import Forbidden, Viewing, address_of
from center.api.exports import FORMATS
from center.api.parameters import V1
from center.api.problems import PROBLEMS
from center.database.directory import Firm, prepare_directory
from center.model.times import BadQuestion
from center.outgoing.directory.desk import DirectoryDesk, NotYours
from center.outgoing.directory.files import MOST_FILE, file_of_firms
from center.outgoing.directory.rows import COLUMNS, KINDS, TRADES, RowComplaint
from words import say

_Lang = Annotated[Literal["vi", "en"], Query(description="Language of headings in Excel.")]
_FILES: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {}}}}
_WRONG: Final[dict[int | str, dict[str, Any]]] = {
    422: {"description": "What is wrong, cell by cell; nothing was taken."}
}


class FirmAnswer(TypedDict):
    """A firm. site: of the one that is connected; kinds, products, certificates: as in a file."""

    id: str
    site: str
    code: str
    name: str
    trade: str
    place: str
    kinds: list[str]
    products: list[str]
    certificates: list[dict[str, str]]
    shown: bool


class DirectoryAnswer(TypedDict):
    """What a search finds. trades, kinds: the closed lists, with their names; total: how many the viewer may see at all."""

    trades: dict[str, dict[str, str]]
    kinds: dict[str, dict[str, str]]
    total: int
    rows: list[FirmAnswer]


class ComplaintAnswer(TypedDict):
    """What is wrong with a cell. row: as the file counts, its heading is 1; why: key of the message; near: what may have been meant."""

    row: int
    column: str
    value: str
    why: str
    near: str
    says: dict[str, str]


class ImportAnswer(TypedDict):
    """What became of a file: how many firms are new or changed, or what is wrong; then nothing was taken."""

    new: int
    changed: int
    complaints: list[ComplaintAnswer]


class FirmRequest(BaseModel):
    """An entry, its cells as in a file. site: of the factory whose entry it is; empty for a firm that is not connected."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64)] = ""
    code: Annotated[str, Field(max_length=40, description="Tax number.", examples=["0101234567"])]
    name: Annotated[str, Field(max_length=400)]
    trade: Annotated[str, Field(max_length=60, examples=["plastics"])]
    place: Annotated[str, Field(max_length=400)] = ""
    kinds: Annotated[str, Field(max_length=2000, examples=["press; injection"])] = ""
    products: Annotated[str, Field(max_length=6000, examples=["Ốp nhựa; Nắp chai"])] = ""
    certificates: Annotated[str, Field(max_length=6000, examples=["ISO 9001, VN-123, 2027-01-31 | IATF 16949"])] = ""
    shown: bool = False


def complaint_answer(item: RowComplaint) -> ComplaintAnswer:
    """A complaint with its words."""
    says = {lang: say(f"directory.bad.{item.why}", lang, value=item.value, near=item.near) for lang in ("vi", "en")}
    return {**vars(item), "says": says}  # type: ignore[typeddict-item]  # the same names


def firm_answer(firm: Firm) -> FirmAnswer:
    """A firm as the API tells it."""
    return {
        "id": firm.id,
        "site": firm.site,
        "code": firm.code,
        "name": firm.name,
        "trade": firm.trade,
        "place": firm.place,
        "kinds": list(firm.kinds),
        "products": list(firm.products),
        "certificates": [dict(vars(item)) for item in firm.certificates],
        "shown": firm.shown,
    }


def cells_of(asked: dict[str, Any]) -> dict[str, str]:
    """The cells of a request."""
    return {column: str(asked.get(column) or "") for column in COLUMNS} | {"shown": "x" if asked.get("shown") else ""}


def import_answer(told: tuple[int, int] | list[RowComplaint]) -> ImportAnswer:
    """What became of a file."""
    if isinstance(told, list):
        return {"new": 0, "changed": 0, "complaints": [complaint_answer(item) for item in told]}
    return {"new": told[0], "changed": told[1], "complaints": []}


def add_directory(app: FastAPI, desk: DirectoryDesk) -> None:
    """The routes; pages find the desk in the application's state."""
    prepare_directory(desk.engine)
    app.state.directory = desk

    @app.get(f"{V1}/directory", responses=PROBLEMS | _FILES, response_model=DirectoryAnswer)
    def directory(
        viewer: Viewing,
        q: Annotated[str, Query(max_length=200, description="Words, with or without marks.")] = "",
        trade: Annotated[str, Query(max_length=40)] = "",
        kind: Annotated[str, Query(max_length=40)] = "",
        form: Annotated[str, Query(alias="format", max_length=10, description="json, csv, xlsx or parquet.")] = "json",
        lang: _Lang = "vi",
    ) -> Any:
        """Trades, kinds of machines, and the firms that the viewer may see: what they make, and which certificates they declare."""
        found = desk.found(viewer, q, trade, kind)
        if form == "json":
            return {
                "trades": {key: {one: say(f"trade.{key}", one) for one in ("vi", "en")} for key in TRADES},
                "kinds": {key: {one: say(f"machine_kind.{key}", one) for one in ("vi", "en")} for key in KINDS},
                "total": len(desk.seen(viewer)),
                "rows": [firm_answer(firm) for firm in found],
            }
        if form not in FORMATS:
            raise BadQuestion(f"format: {form!r}; there are json, {', '.join(FORMATS)}")
        file = file_of_firms(found, form, lang)
        head = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
        return Response(file.content, media_type=file.media_type, headers=head)

    @app.put(f"{V1}/directory", responses=PROBLEMS | _WRONG, response_model=ImportAnswer)
    def set_firm(viewer: Viewing, request: Request, asked: FirmRequest) -> Any:
        """Sets an entry: of a factory by its owner, of a firm that is not connected by the center's people."""
        try:
            told = desk.set_row(viewer, address_of(request), asked.site, cells_of(asked.model_dump()))
        except NotYours as error:
            raise Forbidden(str(error)) from error
        answer = import_answer(told if isinstance(told, list) else (0, 1))
        return JSONResponse(answer, 422) if answer["complaints"] else answer

    @app.post(
        f"{V1}/directory/import",
        responses=PROBLEMS | _WRONG,
        response_model=ImportAnswer,
        openapi_extra={"x-most-bytes": MOST_FILE},
    )
    async def import_firms(viewer: Viewing, request: Request) -> Any:
        """Takes a CSV or Excel file of firms that are not connected: all of it, or nothing and a complaint for each wrong cell."""
        content = await request.body()
        try:
            told = await run_in_threadpool(desk.take, viewer, address_of(request), content)
        except NotYours as error:
            raise Forbidden(str(error)) from error
        answer = import_answer(told)
        return JSONResponse(answer, 422) if answer["complaints"] else answer

    @app.delete(f"{V1}/directory/{{firm}}", responses=PROBLEMS)
    def remove_firm(viewer: Viewing, request: Request, firm: str) -> dict[str, str]:
        """Removes an entry."""
        try:
            desk.remove(viewer, address_of(request), firm)
        except NotYours as error:
            raise Forbidden(str(error)) from error
        return {"removed": firm}
