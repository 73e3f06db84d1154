"""What an issued month consists of: integers, dates and texts, as canonical JSON with a digest. Pure.

No ratio, mean or limit is stored: `figures` derives every printed number from these sums, so that anybody with the file can
do it again. Floating-point numbers are refused, since two programs may write the same one differently.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oee.kpi.maintenance import MaintenanceKind, Tolerance

FORMAT: Final = 2
FORMATS: Final = (1, 2)
"""Those that this program reads: issues of format 1 know no `_SINCE_2`."""
_SINCE_2: Final = ("objectives", "references", "changes")
Language = Literal["vi", "en", "both"]
LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en", "both")
PDF_MAKER: Final = "center.outgoing.monthly.pdf:month_pdf"
"""For `center.outgoing.apart`."""
MONTHS: Final = 12
"""How many months a report looks back, its own included."""
PPM: Final = 1_000_000
OBJECTIVES: Final = ("mtbf_s", "mttr_s", "pm", "planned_share")
"""What is aimed at beside the targets: seconds, and ratios of PM compliance and of planned maintenance [1]."""
TOPICS: Final = ("parts", "resources", "customer", "methods", "other")
"""What a report refers to."""
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")

Texts = Annotated[dict[str, str], Field(max_length=8)]
"""Language to text."""
Sums = dict[str, int]
"""Additive columns of facts, those that are not zero."""


class NotCanonical(ValueError):
    """A file whose content is not what was issued."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MonthOfMachine(_Part):
    """A machine in a month. scheduled_ms: None where no calendar says; targets: by kind [ppm] as they counted in that month."""

    month: str
    scheduled_ms: int | None
    sums: Sums
    targets: dict[str, int] = {}


class ReportedMachine(_Part):
    """A machine with its last twelve months, the reported one last. constraint: it limits its line."""

    id: str
    name: Texts
    line: str
    line_name: Texts
    kind: str
    constraint: bool
    months: tuple[MonthOfMachine, ...]


class LossOfMonth(_Part):
    """A loss of all machines together. us: time, or ideal time of pieces [us]; before_us: of the month before; maintenance: kind
    of the reason, "" for none.
    """

    state: str
    reason: str
    reason_name: Texts
    maintenance: str
    us: int
    before_us: int


class DueOfTask(_Part):
    """A task that was due in the month, with who said that it was done, and what they noted."""

    due: date
    until: date
    done: date | None
    by: str
    note: str


class TaskOfMonth(_Part):
    """A task of the maintenance plan."""

    id: str
    machine: str
    title: str
    kind: MaintenanceKind
    every_days: int
    tolerance: Tolerance
    dues: tuple[DueOfTask, ...]


class VerdictOfMonth(_Part):
    """The numbers of a verdict, as it was told [millionths of the measure's unit]; None where there is none. change: lowest, best,
    highest; least: the smallest change that the plan could show; days: that counted before and after.
    """

    metric: str
    before_u: int | None
    after_u: int | None
    change_u: tuple[int, int, int] | None
    least_u: int | None
    days: tuple[int, ...]


class ObjectiveOfMonth(_Part):
    """What was to be reached in the month beside the targets. machine: "" for all together; kind: of `OBJECTIVES`; value_u: [millionths
    of a second or of 1]; since: from which month on it holds.
    """

    machine: str
    kind: str
    value_u: int
    since: str
    by: str


class ReferenceOfMonth(_Part):
    """A paper that is kept elsewhere. topic: of `TOPICS`."""

    topic: str
    title: str
    place: str
    edition: str
    owner: str


class ChangeOfMonth(_Part):
    """What a new site file changed in a month: formula, ideal times, calendars."""

    month: str
    gateway: str
    what: tuple[str, ...]


class ActionOfMonth(_Part):
    """An action. result: of its verdict, "" before; minutes_c: gained a week, lowest, best and highest [1/100 min]; says: the
    verdict in words; numbers: of the verdict, None before and in format 1.
    """

    id: str
    machines: tuple[str, ...]
    what: str
    cause: str
    owner: str
    state: str
    created: str
    due: date
    result: str
    exploratory: bool
    minutes_c: tuple[int, int, int] | None
    says: Texts
    numbers: VerdictOfMonth | None = None


class TrustOfMonth(_Part):
    """How far the month can be trusted. unverified: products made whose ideal time nobody has looked up or measured, by name."""

    scheduled_ms: int
    known_ms: int
    unknown_ms: int
    missing_ms: int
    missing_envelopes: int
    unverified: tuple[Texts, ...]
    without_calendar: int


class IssuedMachine(_Part):
    """A machine as an earlier issue has it."""

    id: str
    scheduled_ms: int | None
    sums: Sums


class EarlierIssue(_Part):
    """An issue of this or an earlier month whose sums are others now: those of its machines that differ."""

    month: str
    revision: int
    digest: str
    issued: str
    machines: tuple[IssuedMachine, ...]


class DeclaredSince(_Part):
    """What somebody declared about the reported months after the issue before this one."""

    made: str
    who: str
    machine: str
    field: str
    value: str
    start: str


class SiteFile(_Part):
    """A site file that was in force."""

    gateway: str
    hash: str
    since: str


class MonthContent(_Part):
    """A month of a site. start, end: as business dates are cut; today: date on which it was made; made: when, as ISO 8601; prior:
    digest of the revision before, "" for the first; why: what a revision is made for; audit_head: of the audit trail's chain when it was made.
    """

    format: int
    site: str
    site_name: Texts
    timezone: str
    month: str
    revision: int
    prior: str
    why: str
    made: str
    made_by: str
    today: date
    formula: str
    software: str
    audit_head: str
    machines: tuple[ReportedMachine, ...]
    losses: tuple[LossOfMonth, ...]
    tasks: tuple[TaskOfMonth, ...]
    actions: tuple[ActionOfMonth, ...]
    trust: TrustOfMonth
    earlier: tuple[EarlierIssue, ...]
    declared: tuple[DeclaredSince, ...]
    site_files: tuple[SiteFile, ...]
    objectives: tuple[ObjectiveOfMonth, ...] = ()
    references: tuple[ReferenceOfMonth, ...] = ()
    changes: tuple[ChangeOfMonth, ...] = ()


def canonical(content: MonthContent) -> bytes:
    """The content as UTF-8 JSON with sorted keys and without spaces. Raises `NotCanonical` for a number that is no integer."""
    plain = content.model_dump(mode="json", warnings=False)  # `_refuse_floats` says more
    if content.format == 1:
        for name in _SINCE_2:
            del plain[name]
        for action in plain["actions"]:
            del action["numbers"]
    _refuse_floats(plain)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(data: bytes) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def content_of(data: bytes) -> MonthContent:
    """The content of a file that `canonical` wrote. Raises `NotCanonical` for any other, be it by a space."""
    try:
        content = MonthContent.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise NotCanonical(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if content.format not in FORMATS:
        raise NotCanonical(f"format: {content.format}; this program reads {', '.join(map(str, FORMATS))}")
    if canonical(content) != data:
        raise NotCanonical("the file is not in canonical form; was it edited?")
    return content


def _refuse_floats(value: Any, place: str = "") -> None:
    if isinstance(value, float):
        raise NotCanonical(f"{place or 'content'}: {value} is no integer")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _refuse_floats(item, f"{place}.{key}".lstrip("."))


def is_month(text: str) -> bool:
    """Whether it is a month as in `2026-02`."""
    return bool(_MONTH.fullmatch(text)) and 1970 < int(text[:4]) < 2200


def first_day(month: str) -> date:
    """The first day of a month as in `2026-02`."""
    return date.fromisoformat(f"{month}-01")


def month_after(month: str, count: int = 1) -> str:
    """The month so many months later; earlier for a negative count."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1 + count
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
