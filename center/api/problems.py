"""Errors of the API: their JSON shape, and how routes describe them."""

from typing import Any, Final, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel


class Problem(BaseModel):
    """Why a request was refused or failed."""

    error: Literal[
        "bad_question",
        "unknown",
        "store_away",
        "unauthorized",
        "forbidden",
        "too_many",
        "conflict",
        "changed",
        "no_pdf",
    ]
    detail: str


_BODY: Final = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": description, "content": _BODY}
    for status, description in (
        (401, "Nobody is logged in, and no token was sent."),
        (403, "The account lacks a right."),
        (404, "No such site or machine."),
        (422, "A parameter that cannot be understood; the text says what to write."),
        (429, "Too much at once; the text says of what. Retry later."),
        (503, "The store is unavailable; facts wait at the gateways."),
    )
}
"""Descriptions of errors for the routes' OpenAPI. They name `Problem`, which one route of each application has to bring as its
`model`: FastAPI makes a validator for each model of each status of each route, a fifth of what making the application costs.
"""


def problem(status: int, name: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error in the shape of `Problem`."""
    return JSONResponse({"error": name, "detail": detail}, status, headers)
