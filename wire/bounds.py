"""Bounds of every number, text and list that comes from outside, as types of pydantic. Pure.

What is counted has bounds that refuse: the message is then quarantined with the reason. What is only shown is cut where it
is a text, list or mapping, since a fault's long text is no reason to take a gateway for silent; its numbers refuse too, since
no gateway can mean them.
"""

from itertools import islice
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from oee.model.limits import MOST_CHARACTERS, MOST_LANGUAGES

_SHOWN_CHARACTERS: Final = 2_000
_EXACT: Final = 2**53
"""Whole numbers below this survive a JSON reader of any language, and sums of a thousand of them fit into int64."""

Moment = Annotated[int, Field(ge=0, lt=2**63)]
"""A time that fits a BIGINT column and can be displayed [ns UTC]."""
Count = Annotated[int, Field(ge=0, lt=_EXACT)]
Whole = Annotated[int, Field(gt=-_EXACT, lt=_EXACT)]
Seconds = Annotated[float, Field(ge=-1e10, le=1e10, allow_inf_nan=False)]
"""A time or a distance of clocks: a gateway whose clock stands at 1970 is 1.8e9 s late [s]."""
Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
"""A number of no fixed unit: a gauge, a target."""
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Names = Annotated[dict[Text, Text], Field(max_length=MOST_LANGUAGES)]
"""A display name: language to text."""


def _cut_text(value: Any) -> Any:
    return value[:_SHOWN_CHARACTERS] if isinstance(value, str) else value


ShownText = Annotated[str, BeforeValidator(_cut_text)]
"""A text that is only shown: what is longer than a page is cut."""


def first(most: int) -> BeforeValidator:
    """Keeps the first so many items of a list or mapping that is only shown; whatever else it is, is left to the type."""

    def cut(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return value[:most]
        return dict(islice(value.items(), most)) if isinstance(value, dict) else value

    return BeforeValidator(cut)
