"""What a tablet sends: entries, each with the tablet's own number. Pure.

An entry says how long ago it was made, by the tablet's monotonic clock, never when: gateway time counts.
"""

from datetime import date
from typing import Annotated, Any, Final, Literal
from unicodedata import category

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oee.model.calls import STEPS
from oee.model.states import STATE_BY_WORD, State

MOST_ENTRIES: Final = 50
"""Entries in one request."""
MOST_AGO_MS: Final = 14 * 86_400_000
MOST_PIECES: Final = 99_999
_STATES: Final = tuple(word for word, state in STATE_BY_WORD.items() if state is not State.MINOR_STOP)

Key = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Ms = Annotated[int, Field(ge=0, lt=2**43)]
"""A time since 1970 [ms UTC]."""


Reply = dict[str, Any]
"""What a tablet is told about an entry: its id; state: `saved` (also: it was already), `overtaken` (another answer came
first: `other`), `refused` (`why`), or `later` (send it again)."""


class _Form(BaseModel):
    """Its validator is built when the first of its kind comes: each takes half a megabyte.

    id: `<tablet's random id>-<number>`; tablet: its name, of a place and never of a person; ago_ms: how long ago the entry was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: str = Field(pattern=r"^[a-z0-9]{6,32}-[1-9][0-9]{0,8}$")
    tablet: str = Field(pattern=r"^[\w][\w .-]{0,31}$")
    ago_ms: int = Field(ge=0, le=MOST_AGO_MS)
    machine: Key


class Part(BaseModel):
    """A part of a stop: its reason, until when; the last part of a stop that lasts has no end."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    reason: Key
    until_ms: Ms | None = None


class ReasonForm(_Form):
    """Why a stop was. stop_ms: when it began; saw: the answer that the tablet knew (`agent.andon.entries.answers`)."""

    kind: Literal["reason"]
    stop_ms: Ms
    parts: tuple[Part, ...] = Field(min_length=1, max_length=5)
    saw: str = Field("", max_length=100)


class StateForm(_Form):
    """What the machine did while nothing was known of it."""

    kind: Literal["state"]
    stop_ms: Ms
    state: Literal[_STATES]  # type: ignore[valid-type]  # the words as they are
    saw: str = Field("", max_length=100)


class CountForm(_Form):
    """Rejects or rework: so many more, or so many in the whole shift. shift_ms: when the shift began that the person had in
    mind; back: without it, so many shifts ago; ends: until the shift ends there will be no more.
    """

    kind: Literal["rejects", "rework"]
    add: int | None = Field(None, ge=1, le=MOST_PIECES)
    total: int | None = Field(None, ge=0, le=MOST_PIECES)
    cause: str = Field("", max_length=64)
    back: Literal[0, 1] = 0
    shift_ms: Ms | None = None
    ends: bool = False


class ProductForm(_Form):
    """What is made from then on, or since the present stop began."""

    kind: Literal["product", "order"]
    value: Key
    since_stop: bool = False


class PlannedStopForm(_Form):
    """A planned stop: for so long, or until the machine runs again. value: a reason of the site, or a text."""

    kind: Literal["planned_stop"]
    value: str = Field("", max_length=64)
    minutes: int | None = Field(None, ge=1, le=24 * 60)


class CallForm(_Form):
    """A call for help."""

    kind: Literal["call"]
    value: Key


class StepForm(_Form):
    """A call goes on. call: the id of its entry."""

    kind: Literal["step"]
    call: Key
    value: Literal[STEPS[1:]]  # type: ignore[valid-type]  # the words as they are


class NoteForm(_Form):
    """A note for the shift."""

    kind: Literal["note"]
    value: Text


class MaintainedForm(_Form):
    """A task of the maintenance plan was done. value: its key in the site file; due: the due date that it was done for."""

    kind: Literal["maintained"]
    value: Key
    due: date


class TakeBackForm(_Form):
    """An entry was wrong. entry: its id."""

    kind: Literal["take_back"]
    entry: Key


Form = (
    ReasonForm
    | StateForm
    | CountForm
    | ProductForm
    | PlannedStopForm
    | CallForm
    | StepForm
    | NoteForm
    | MaintainedForm
    | TakeBackForm
)
_FORMS: Final[dict[object, type[Form]]] = {
    "reason": ReasonForm,
    "state": StateForm,
    "rejects": CountForm,
    "rework": CountForm,
    "product": ProductForm,
    "order": ProductForm,
    "planned_stop": PlannedStopForm,
    "call": CallForm,
    "step": StepForm,
    "note": NoteForm,
    "maintained": MaintainedForm,
    "take_back": TakeBackForm,
}
"""By kind; one validator for the union of all would build each of them twice, which costs megabytes."""


_TYPED: Final = ("note", "order")
"""Kinds with a text that people type."""


def _one_line(text: str) -> str:
    """A typed text as it is kept: lines and odd blanks become single blanks; what joins or turns characters is left out."""
    return " ".join("".join(letter for letter in text if category(letter) != "Cf").split())


def read_form(data: object) -> Form:
    """The entry in decoded JSON. Raises `ValueError` that says what is wrong."""
    kind = data.get("kind") if isinstance(data, dict) else None
    if isinstance(data, dict) and kind in _TYPED and isinstance(data.get("value"), str):
        data = data | {"value": _one_line(data["value"])}
    if not isinstance(kind, str) or kind not in _FORMS:
        raise ValueError(f"kind: one of {', '.join(map(str, _FORMS))}")
    try:
        form = _FORMS[kind].model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if isinstance(form, CountForm) and (form.add is None) == (form.total is None):
        raise ValueError("either `add` or `total`")
    if not all(text.isprintable() for text in form.model_dump().values() if isinstance(text, str)):
        raise ValueError("characters that nobody can read")
    return form
