"""Process values: selection of tags, and the rows as columns."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict

from center.contract.store import KeepsValues, ValueQuery
from center.model.sites import sent_values
from center.model.times import BadQuestion, iso
from center.queries.question import Question, UnknownSite, WindowAnswer, zone_of
from center.runtime.state import CenterState
from oee.model.states import Quality
from wire.values import Values, select_values

MAX_ROWS: Final = 100_000
LOOK_BACK_NS: Final = 25 * 3_600_000_000_000
"""How far back to look for the value that was valid when a window began: gateways send each value once a day at least."""
MAX_TAGS: Final = 1000
_DEFAULT_NS: Final = 24 * 3_600_000_000_000


class ValueSeriesAnswer(TypedDict):
    """One tag's rows as columns of equal length. A first row before `from` is the value that held then."""

    gateway: str
    tag: Annotated[str, Field(examples=["press-plc.oil_temp"])]
    unit: str
    t: Annotated[list[str], Field(description="Time from which the value holds.")]
    value: Annotated[list[float | str | None], Field(description="null where it is not known.")]
    quality: list[Literal["good", "uncertain", "bad", "gap"]]


class ValuesAnswer(WindowAnswer):
    """truncated: there was more than `limit`; `to` then says up to where the answer is complete."""

    series: list[ValueSeriesAnswer]
    truncated: bool


@dataclass(frozen=True)
class TagFilter:
    """Which tags of the site: of a gateway, of devices, or named as `device.tag`; empty means no restriction.

    limit: rows of the answer.
    """

    gateway: str = ""
    devices: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limit: int = 10_000


def values(center: CenterState, question: Question, tag_filter: TagFilter) -> ValuesAnswer:
    """Process values in `[from, to)`, tag by tag, and the row before it that was valid when the window began.

    question: its machines are those that use the tag's device; its window need not lie on whole minutes.
    Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`.
    """
    site = question.site
    zone = zone_of(center, question.viewer, site)
    high = center.now_ns() if question.end_ns is None else question.end_ns
    low = max(high - _DEFAULT_NS, 0) if question.start_ns is None else question.start_ns
    if low >= high:
        raise BadQuestion("from is not before to")
    tags = wanted_tags(center, question, tag_filter)
    rows_by_gateway: dict[str, Values] = {}
    if isinstance(center.store, KeepsValues):
        rows_by_gateway = center.store.values(
            ValueQuery(site, tags, low, high, LOOK_BACK_NS, tag_filter.limit + 1, tag_filter.gateway)
        )
    inside = sorted(t_ns for rows in rows_by_gateway.values() for t_ns in rows.t_ns.tolist() if t_ns >= low)
    truncated = len(inside) > tag_filter.limit
    until_ns = inside[tag_filter.limit] if truncated else high
    described = sent_values(center.ledger_cache.sites, site)
    series: list[ValueSeriesAnswer] = []
    for gateway, rows in rows_by_gateway.items():
        for tag, columns in _by_tag(select_values(rows, rows.t_ns < until_ns), zone):
            unit = described[gateway, tag].unit if (gateway, tag) in described else ""
            series.append({"gateway": gateway, "tag": tag, "unit": unit, **columns})  # type: ignore[typeddict-item]
    ends: WindowAnswer = {"site": site, "from": iso(low, zone), "to": iso(until_ns, zone), "timezone": zone.key}
    return {**ends, "series": series, "truncated": truncated}


def wanted_tags(center: CenterState, question: Question, tag_filter: TagFilter) -> list[str]:
    """The tags that are asked for. Raises `UnknownSite` or `BadQuestion`."""
    wanted = {
        tag
        for (gateway, tag), value in sent_values(center.ledger_cache.sites, question.site).items()
        if (not tag_filter.gateway or gateway == tag_filter.gateway)
        and (not question.machines or set(question.machines) & set(value.machines))
        and (not tag_filter.devices or tag.partition(".")[0] in tag_filter.devices)
        and (not tag_filter.tags or tag in tag_filter.tags)
    }
    if not question.machines and not tag_filter.devices:
        wanted |= set(tag_filter.tags)  # tags that the site file no longer names may still have rows
    if not wanted and (question.machines or tag_filter.devices or tag_filter.gateway):
        raise UnknownSite(
            f"site {question.site!r} sends no such process values; its site file names under `values` what it sends"
        )
    if len(wanted) > MAX_TAGS:
        raise BadQuestion(f"{len(wanted)} tags; at most {MAX_TAGS} in one answer: ask for a device, a machine or tags")
    return sorted(wanted)


def _by_tag(rows: Values, zone: ZoneInfo) -> list[tuple[str, dict[str, list[Any]]]]:
    out: dict[str, dict[str, list[Any]]] = {}
    columns = (rows.tag.tolist(), rows.t_ns.tolist(), rows.number.tolist(), rows.text.tolist(), rows.quality.tolist())
    for tag, t_ns, number, text, quality in zip(*columns, strict=True):
        series = out.setdefault(tag, {"t": [], "value": [], "quality": []})
        series["t"].append(iso(t_ns, zone))
        series["value"].append(text if text is not None else None if math.isnan(number) else number)
        series["quality"].append(Quality(quality).name.lower())
    return list(out.items())
