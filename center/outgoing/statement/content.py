"""What a capability statement says: integers, dates and texts as canonical JSON with a digest. Pure.

Each line is measured, verified by the center, or declared by the firm. There is no line for products, customers, orders, volumes or
persons, so none can get in.
"""

import hashlib
import json
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FORMAT: Final = 1
MILLION: Final = 1_000_000
PDF_MAKER: Final = "center.outgoing.statement.pdf:statement_pdf"
"""For `center.outgoing.apart`."""
LANGUAGES: Final = ("vi", "en")
MEASURED: Final = ("machines", "hours_free", "oee", "reject_ppm", "changeover", "mtbf")
VERIFIED: Final = ("actions", "reports")
DECLARED: Final = ("certificates",)
LINES: Final = (*MEASURED, *VERIFIED, *DECLARED)
MOST_DAYS: Final = 90
MOST_CERTIFICATES: Final = 20
LineKey = Literal[
    "machines", "hours_free", "oee", "reject_ppm", "changeover", "mtbf", "actions", "reports", "certificates"
]
Mark = Literal["measured", "verified", "declared"]


class BrokenStatement(ValueError):
    """A file whose content is not what was made."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CapabilityLine(_Part):
    """A line. kind: of machines, "" for all; values_u: [millionths of the line's unit], lowest, best and highest where it has an
    interval, median and ninth decile of changeovers; coverage_u: watched share of planned time; count: how many it rests on.
    """

    key: LineKey
    mark: Mark
    kind: str
    values_u: tuple[int, ...]
    coverage_u: int | None
    count: int


class DeclaredCertificate(_Part):
    """A certificate that the firm says it has. until: None where it does not say."""

    name: Annotated[str, Field(max_length=80)]
    number: Annotated[str, Field(max_length=80)]
    until: date | None


class StatementContent(_Part):
    """A statement. first, last: days that were measured; made: when, as ISO 8601; ends: last day on which it is valid."""

    format: int
    number: str
    firm: dict[str, str]
    trade: str
    recipient: str
    purpose: str
    center: str
    made: str
    ends: date
    first: date
    last: date
    lines: tuple[CapabilityLine, ...]
    months: tuple[str, ...]
    certificates: tuple[DeclaredCertificate, ...]


def statement_json(content: StatementContent) -> bytes:
    """The content as UTF-8 JSON with sorted keys and without spaces."""
    plain: Any = content.model_dump(mode="json")
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def statement_digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def statement_of(data: bytes) -> StatementContent:
    """The content of what `statement_json` wrote. Raises `BrokenStatement` for anything else."""
    try:
        content = StatementContent.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise BrokenStatement(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if content.format != FORMAT or statement_json(content) != data:
        raise BrokenStatement("the file is not in canonical form; was it edited?")
    return content


def certificates_of(text: str) -> tuple[DeclaredCertificate, ...]:
    """Certificates as people type them, one a line: `name; number; 2027-01-31`, the last two as far as known.

    Raises `ValueError`, which names the line.
    """
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [" ".join(part.split()) for part in line.split(";")]
        if len(parts) > 3 or not parts[0]:
            raise ValueError(f"line {number}: {line.strip()[:60]!r}; write for example ISO 9001; VN-12345; 2027-01-31")
        parts += [""] * (3 - len(parts))
        try:
            until = date.fromisoformat(parts[2]) if parts[2] else None
        except ValueError as error:
            raise ValueError(f"line {number}: {parts[2][:20]!r} is no date; write for example 2027-01-31") from error
        if max(len(parts[0]), len(parts[1])) > 80:
            raise ValueError(f"line {number}: name and number have at most 80 characters each")
        out.append(DeclaredCertificate(name=parts[0], number=parts[1], until=until))
    if len(out) > MOST_CERTIFICATES:
        raise ValueError(f"{len(out)} certificates; a statement has at most {MOST_CERTIFICATES}")
    return tuple(out)
