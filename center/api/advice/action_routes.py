"""HTTP for actions: which there are, what they brought, and the steps of one."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from center.api.access import Aiming, Viewing, Writing, address_of
from center.api.advice import action_answers as answers
from center.api.advice.action_desk import MOST_NOTE, ActionsDesk, RecordAction, RefusedStep
from center.api.advice.action_plans import ActionRequest, ChangeRequest, PlanRequest
from center.api.exports import export
from center.api.parameters import V1, AnySite
from center.api.problems import PROBLEMS, problem
from center.database import actions as database
from center.model.kept_action import MOST_FILE_BYTES, ActionFile
from center.runtime.state import CenterState
from oee.advice.gain.action import STATES

_State = Annotated[str, Query(description="Only those in this state.", json_schema_extra={"enum": ["", *STATES]})]
_Format = Annotated[Literal["json", "csv", "parquet", "xlsx"], Query(description="json, or a file of all rows.")]


_FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "JSON, or the file asked for by `format`.",
        "content": {
            "text/csv": {},
            "application/vnd.apache.parquet": {},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {},
        },
    }
}


class NoteRequest(BaseModel):
    """A text."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=MOST_NOTE)]


def file_response(file: ActionFile, content: bytes) -> Response:
    """A file as a browser may have it: its own type and no other, nothing of it run, pictures shown, the rest saved."""
    plain = file.name.encode("ascii", "ignore").decode() or "file"
    shown = "inline" if file.media_type.startswith("image/") else "attachment"
    headers = {
        "Content-Disposition": f"{shown}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type=file.media_type, headers=headers)


async def body_within(request: Request, most: int) -> bytes | None:
    """The body, None as soon as it is longer than `most`."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def add_actions(app: FastAPI, center: CenterState, engine: Engine, record: RecordAction) -> None:
    """The routes."""
    database.prepare_actions(engine)
    desk = app.state.actions = ActionsDesk(center, engine, record)

    @app.get(f"{V1}/actions", responses=PROBLEMS | _FILES, response_model=answers.ActionsAnswer)
    def listed(
        viewer: Viewing,
        site: AnySite = "",
        state: _State = "",
        format: _Format = "json",  # noqa: A002
        lang: Annotated[Literal["vi", "en"], Query(description="Language of an Excel file.")] = "vi",
    ) -> Any:
        """Actions and what they brought; the total counts those that failed too."""
        answer = desk.listed(viewer, site, state)
        if format == "json":
            return answer
        rows = {"rows": [answers.flat(row) for row in answer["rows"]]} | ({"site": site} if site else {})
        file = export(format, "actions", rows, lang)
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "private, no-cache"}
        return Response(file.content, media_type=file.media_type, headers=headers)

    @app.get(f"{V1}/actions/proposal", responses=PROBLEMS)
    def proposal(
        viewer: Viewing,
        site: AnySite = "",
        machine: Annotated[str, Query()] = "",
        finding: Annotated[str, Query()] = "",
    ) -> PlanRequest:
        """A plan for a finding, or for a machine of a site, that could be registered as it is."""
        return desk.proposal(viewer, site, machine, finding)

    @app.get(f"{V1}/actions/{{action}}", responses=PROBLEMS)
    def one(viewer: Viewing, action: str) -> answers.ActionDetailAnswer:
        """One action with its history, its files and its verdict."""
        return desk.one(viewer, action)

    @app.post(f"{V1}/actions", responses=PROBLEMS)
    def draft(viewer: Aiming, request: Request, asked: ActionRequest) -> answers.ActionDetailAnswer:
        """Drafts an action; the answer tells what its plan could show."""
        return desk.draft(viewer, address_of(request), asked)

    @app.put(f"{V1}/actions/{{action}}", responses=PROBLEMS)
    def edit(viewer: Aiming, request: Request, action: str, asked: ChangeRequest) -> answers.ActionDetailAnswer:
        """Changes a draft; of what is registered only the words."""
        return desk.edit(viewer, address_of(request), action, asked)

    @app.post(f"{V1}/actions/{{action}}/register", responses=PROBLEMS)
    def register(viewer: Aiming, request: Request, action: str) -> answers.ActionDetailAnswer:
        """Freezes the plan and its digest. From now on it is measured as it says."""
        return desk.register(viewer, address_of(request), action)

    @app.post(f"{V1}/actions/{{action}}/revise", responses=PROBLEMS)
    def revise(viewer: Aiming, request: Request, action: str, asked: PlanRequest) -> answers.ActionDetailAnswer:
        """Changes a frozen plan: the action is exploratory for ever, and its first plan is judged all the same."""
        return desk.revise(viewer, address_of(request), action, asked)

    @app.post(f"{V1}/actions/{{action}}/standardise", responses=PROBLEMS)
    def standardise(viewer: Aiming, request: Request, action: str, asked: NoteRequest) -> answers.ActionDetailAnswer:
        """Makes a judged action the standard; the text says which document was changed."""
        return desk.note(viewer, address_of(request), action, "standardise", asked.text)

    @app.post(f"{V1}/actions/{{action}}/give_up", responses=PROBLEMS)
    def give_up(viewer: Aiming, request: Request, action: str, asked: NoteRequest) -> answers.ActionDetailAnswer:
        """Gives an action up. What was registered is judged all the same."""
        return desk.note(viewer, address_of(request), action, "give_up", asked.text)

    @app.post(f"{V1}/actions/{{action}}/comment", responses=PROBLEMS)
    def comment(viewer: Writing, request: Request, action: str, asked: NoteRequest) -> answers.ActionDetailAnswer:
        """Adds a comment."""
        return desk.note(viewer, address_of(request), action, "comment", asked.text)

    @app.post(
        f"{V1}/actions/{{action}}/files",
        responses=PROBLEMS,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            "x-most-bytes": MOST_FILE_BYTES + 65_536,  # what is a little too large is refused with the reason
        },
    )
    async def file(
        viewer: Writing, request: Request, action: str, name: Annotated[str, Query(max_length=200)] = "file"
    ) -> answers.FileAnswer:
        """Files a picture (JPEG, PNG, WebP) or a PDF of 8 MB at most, 12 for each action."""
        content = await body_within(request, MOST_FILE_BYTES)
        if content is None:
            raise RefusedStep("file_size")
        done = await run_in_threadpool(desk.file, viewer, address_of(request), action, name, content)
        return next(item for item in desk.one(viewer, action)["files"] if item["id"] == done.id)

    @app.get(f"{V1}/actions/{{action}}/files/{{file}}", responses=PROBLEMS, response_class=Response)
    def download(viewer: Viewing, action: str, file: str) -> Response:
        """A file as it was filed."""
        found = database.file_of(engine, desk.kept(viewer, action).id, file)
        if found is None:
            return problem(404, "unknown", f"there is no file {file[:64]!r} of this action")
        return file_response(*found)
