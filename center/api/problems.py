"""Errors of the API: their JSON shape, and how routes describe them."""

from typing import Any, Final, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel


class Problem(BaseModel):
    """Why a request was refused or failed."""

    error: Literal["bad_question", "unknown", "store_away", "unauthorized", "forbidden", "too_many"]
    detail: str


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Problem, "description": "Nobody is logged in, and no token was sent."},
    403: {"model": Problem, "description": "The account lacks a right."},
    404: {"model": Problem, "description": "No such site or machine."},
    422: {"model": Problem, "description": "A parameter that cannot be understood; the text says what to write."},
    429: {"model": Problem, "description": "Too much at once; the text says of what. Retry later."},
    503: {"model": Problem, "description": "The store is unavailable; facts wait at the gateways."},
}
"""Descriptions of errors for the routes' OpenAPI."""


def problem(status: int, name: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error in the shape of `Problem`."""
    return JSONResponse({"error": name, "detail": detail}, status, headers)
