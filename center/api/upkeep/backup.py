"""HTTP for backups: a running center hands out copies of its files, to administrators only."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse
from sqlalchemy import Engine
from starlette.background import BackgroundTask

from center.api.access import Administering
from center.api.problems import Problem, problem
from center.runtime import backup
from center.runtime.state import CenterState

_BYTES: Final = "application/octet-stream"
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {_BYTES: {}}},
    403: {"model": Problem},
    404: {"model": Problem, "description": "This part is kept by another server."},
    503: {"model": Problem, "description": "It could not be copied; the text says why."},
}
Part = Annotated[
    Literal["store", "database"],
    InPath(description="`store`: facts and delivery ledger; `database`: accounts, their trail, declarations, notices."),
]


def add_backup(app: FastAPI, center: CenterState, engine: Engine) -> None:
    """The route. engine: of the SQL database."""

    @app.get("/api/v1/backup/{part}", response_model=None, response_class=FileResponse, responses=_RESPONSES)
    def part_of(_viewer: Administering, part: Part) -> FileResponse | JSONResponse:
        """A complete copy of a file, which the center keeps using meanwhile; `nhip backup` saves all of them."""
        try:
            source = backup.file_of(part, center, engine)
            with tempfile.NamedTemporaryFile(prefix=f".{source.name}.", dir=source.parent, delete=False) as reserved:
                copy = Path(reserved.name)
            copy.unlink()
            backup.copy_part(part, center, engine, copy)
        except backup.NotHere as error:
            return problem(404, "unknown", str(error))
        except (backup.CannotCopy, OSError) as error:
            return problem(503, "store_away", str(error))
        # a binary file whatever its extension
        return FileResponse(
            copy, media_type=_BYTES, filename=source.name, background=BackgroundTask(copy.unlink, missing_ok=True)
        )
