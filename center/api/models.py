"""What the API answers, as models, so that its description is complete. Values come from `center.queries.site`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = dict[str, str]
"""Language to text."""


class Answer(BaseModel):
    """Every time in an answer is ISO 8601 with an offset."""

    model_config = ConfigDict(populate_by_name=True)


class Gateway(Answer):
    """A gateway and what it said of itself last."""

    id: str
    online: bool
    heard: str | None = Field(description="When the center last heard of it.")
    waiting: int | None = Field(description="Envelopes in its outbox without a receipt.")
    version: str
    config_hash: str
    devices: dict[str, bool]
    health: dict[str, float]


class Site(Answer):
    """A factory."""

    id: str
    name: Name
    timezone: str
    formula: str
    machines: list[str]
    gateways: list[Gateway]


class Line(Answer):
    flow: str
    constraint: str


class Product(Answer):
    name: Name
    ideal_s: float | None = Field(description="Ideal time of one piece [s].")
    source: str = Field(description="Where the ideal time comes from: design, timed or guess.")


class Reason(Answer):
    name: Name
    state: str


class SiteDetail(Site):
    """A factory with the names of its lines, products and reasons."""

    lines: dict[str, Line]
    products: dict[str, Product]
    reasons: dict[str, Reason]


class Machine(Answer):
    """A machine. named: false if its gateway's site file names it no more."""

    site: str
    id: str
    name: Name
    line: str
    line_name: dict[str, str] = Field({}, description="The line's name by language; empty where nobody named it.")
    calendar: str
    period_s: float | None = Field(description="Longest polling period of the tags that it uses [s].")
    minor_stop_at_most_s: float | None
    gateway: str
    named: bool


class LiveMachine(Answer):
    """What a machine is doing at this moment. state: `unknown` while its gateway is silent."""

    site: str
    machine: str
    state: str
    last_state: str
    since: str | None
    reason: str
    product: str
    shift: str
    calendar: str
    pieces: int | None = Field(description="Pieces in this shift so far; null without a counter.")
    at: str | None = Field(description="The gateway's time of the message.")
    gateway_online: bool


class Windowed(Answer):
    """An answer about `[from, to)`."""

    site: str
    from_: str = Field(alias="from")
    to: str
    timezone: str


class TrendRow(Answer):
    """A bucket and group. sums: additive columns (ms, us of ideal time, pieces) of scheduled time."""

    start: str
    machine: str
    shift: str | None = None
    product: str | None = None
    calendar: str | None = None
    sums: dict[str, int]
    scheduled_ms: int | None = Field(description="What the calendar planned [ms]; null where it cannot be told.")
    kpis: dict[str, float | None]
    why_null: dict[str, str] = Field(description="For each KPI that is null the reason's key.")
    flags: list[str]


class Trend(Windowed):
    bucket: str
    formula: str
    rows: list[TrendRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")


class ComparedRow(TrendRow):
    """A machine of a site."""

    site: str
    site_name: Name
    machine_name: Name


class Compared(Answer):
    """Machines of several sites over `[from, to)`, by one formula set."""

    from_: str = Field(alias="from")
    to: str
    bucket: str
    formula: str
    order: str
    rows: list[ComparedRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")


class LossRow(Answer):
    start: str
    machine: str | None = None
    state: str | None = None
    reason: str | None = None
    shift: str | None = None
    product: str | None = None
    calendar: str | None = None
    ms: int
    pieces: int


class Losses(Windowed):
    rows: list[LossRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")


class StopRow(Answer):
    """A stretch in which the machine did not run. end: null while it lasts."""

    machine: str
    id: str
    start: str
    end: str | None
    state: str
    reason: str
    by: str
    product: str
    to_product: str
    revision: int


class Stops(Windowed):
    rows: list[StopRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")
    truncated: bool


class ValueSeries(Answer):
    """One tag's rows as columns of equal length. A first row before `from` is the value that held then."""

    gateway: str
    tag: str = Field(examples=["press-plc.oil_temp"])
    unit: str
    t: list[str] = Field(description="Time from which the value holds.")
    value: list[float | str | None] = Field(description="null where it is not known.")
    quality: list[Literal["good", "uncertain", "bad", "gap"]]


class Values(Windowed):
    """truncated: there was more than `limit`; `to` then says up to where the answer is complete."""

    series: list[ValueSeries]
    truncated: bool


class CoverageRow(Answer):
    machine: str
    scheduled_ms: int | None
    known_ms: int
    unknown_ms: int | None
    coverage: float | None


class Coverage(Windowed):
    rows: list[CoverageRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")


class DeliveryRow(Answer):
    """A stream. mark: every seq up to it is settled; holes: ranges above it that are missing. Counts in envelopes."""

    site: str
    gateway: str
    stream: str
    kind: str
    mark: int
    stored: int
    quarantined: int
    dropped: int
    discarded: int
    duplicates: int
    conflicts: int
    holes: list[tuple[int, int]]
    seen: str | None
    waiting: int | None


class Delivery(Answer):
    generation: str
    rows: list[DeliveryRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")


class QuarantineRow(Answer):
    id: int
    at: str
    topic: str
    reason: str
    bytes: int
    settled: bool


class Quarantine(Answer):
    rows: list[QuarantineRow]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")
    count: int


class QuarantinedEnvelope(Answer):
    stream: str
    seq: int
    sealed: str | None
    codec: int


class QuarantinedPayload(Answer):
    """An entry whole. payload: Base64; envelope: null where the header is not sound; content: what is inside, null
    where it cannot be read, and then `unreadable` says why.
    """

    id: int
    at: str
    topic: str
    reason: str
    settled: bool
    bytes: int
    payload: str
    envelope: QuarantinedEnvelope | None
    content: Any
    unreadable: str


class Replayed(Answer):
    """released: it is stored and has left the quarantine; else the reason why not."""

    id: int
    released: bool
    reason: str


class Taken(Answer):
    """What became of envelopes. unsound: now in quarantine; refused: of another kind than their stream, or no room."""

    envelopes: int
    settled: int
    unsound: int
    refused: int


class Health(Answer):
    status: Literal["ok", "degraded"]
    store: str
    broker: str
    ingest: dict[str, int]
    conditions: dict[str, str]
    overfull_minutes: int = Field(description="Machine-minutes that hold more than 60,000 ms over all streams.")
    generation: str
    time: str


class Problem(Answer):
    """Why a question was not answered."""

    error: Literal["bad_question", "unknown", "store_away", "unauthorized", "forbidden"]
    detail: str
