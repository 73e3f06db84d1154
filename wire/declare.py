"""The declaration message: what people declare at the center about a gateway's machines.

Retained on `nhip/v1/<site>/<gateway>/declare`. It holds every declaration whose outcome has not yet come back in this
gateway's `status`; it is published again whenever that changes, and being retained it also reaches each new connection.
The gateway echoes the outcomes of exactly the declarations in the latest message, so neither side keeps a list that
grows. Ids are never reused, so receiving one twice has no effect; `no` numbers a gateway's declarations at the
center, for people.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from oee.model.declarations import Declaration
from oee.model.declarations import Field as DeclaredField

MOST: Final = 100
"""Declarations in one message, oldest first; the others follow when these are echoed."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class DeclaredRow(_Strict):
    """One declaration as it travels; the fields are those of `oee.model.declarations.Declaration`."""

    no: int = Field(ge=1)
    id: str = Field(min_length=1, max_length=64)
    made_ns: int = Field(ge=0, lt=2**63)
    machine: str = Field(max_length=64)
    start_ns: int = Field(ge=0, lt=2**63)
    end_ns: int | None = Field(default=None, ge=0, lt=2**63)
    field: DeclaredField
    value: str = Field(max_length=200)
    who: str = Field(default="", max_length=200)
    product: str = Field(default="", max_length=64)
    supersedes: str = Field(default="", max_length=64)

    def declaration(self) -> Declaration:
        """The declaration itself."""
        return Declaration(**self.model_dump(exclude={"no"}))


class Declare(_Strict):
    """The message. at_ns: when it was written [ns UTC]."""

    at_ns: int
    declarations: list[DeclaredRow] = Field(max_length=MOST)


def encode_declare(message: Declare) -> bytes:
    """The message's bytes."""
    return message.model_dump_json(exclude_defaults=True).encode()


def decode_declare(data: bytes) -> Declare:
    """The message in these bytes. Raises pydantic's `ValidationError` (a `ValueError`) if it is not valid."""
    return Declare.model_validate_json(data)
