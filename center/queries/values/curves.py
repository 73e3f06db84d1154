"""Process values as curves: each tag's lowest and highest value in every part of a window, and where nothing is known.

A value holds until the next row: a part without rows has the value from before it. Neither an extreme nor a gap is lost,
however many rows a part has; the store finds them.
"""

from dataclasses import replace
from typing import Annotated, Final

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from center.contract.store import BinsQuery, BinsValues, ValueBins
from center.model.sites import sent_values
from center.queries.question import Question, WindowAnswer, check
from center.queries.values.rows import LOOK_BACK_NS, TagFilter, wanted_tags
from center.runtime.state import CenterState

MOST_POINTS: Final = 2000
_S_NS: Final = 1_000_000_000


class CurveAnswer(TypedDict):
    """One tag's parts, each `every_s` long, from `from` on. low, high: of the values that held in it, null where none did;
    unknown: whether the value was not known for some of it.
    """

    gateway: str
    tag: Annotated[str, Field(examples=["press-plc.oil_temp"])]
    unit: str
    low: list[float | None]
    high: list[float | None]
    unknown: list[bool]


class CurvesAnswer(WindowAnswer):
    every_s: int
    series: list[CurveAnswer]


def curves(center: CenterState, question: Question, tag_filter: TagFilter, points: int = 480) -> CurvesAnswer:
    """Curves of at most so many points in `[from, to)`. question: its machines are those that use the tag's device; its window
    is on whole minutes. Tags that have only texts have no curve. Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`.
    """
    checked = check(center, replace(question, machines=()))
    tags = wanted_tags(center, question, tag_filter)
    length_s = (checked.end_ns - checked.start_ns) // _S_NS
    every_s = -(-length_s // points)
    count = -(-length_s // every_s)
    query = BinsQuery(question.site, tags, checked.start_ns, every_s, count, LOOK_BACK_NS, tag_filter.gateway)
    found = center.store.value_bins(query) if tags and isinstance(center.store, BinsValues) else {}
    described = sent_values(center.ledger_cache.sites, question.site)
    series: list[CurveAnswer] = []
    for gateway, bins in found.items():
        until = _known_until(center, query, gateway, bins)
        for tag in sorted(set(bins.tag.tolist())):
            low, high, unknown = curve(bins.of(tag), count, until)
            if any(value is not None for value in low):
                unit = described[gateway, tag].unit if (gateway, tag) in described else ""
                series.append(
                    {"gateway": gateway, "tag": tag, "unit": unit, "low": low, "high": high, "unknown": unknown}
                )
    return {**checked.window(), "every_s": every_s, "series": series}


def _known_until(center: CenterState, query: BinsQuery, gateway: str, bins: ValueBins) -> int:
    """Up to which part the gateway's silence means that values have not changed: till now while it is online, else till it
    was last heard of, or sent a value.
    """
    now_ns = center.now_ns()
    picture = center.pictures.get(query.site, gateway)
    heard_ns = now_ns if picture.online(now_ns) else max(picture.live_ns, picture.status_ns)
    heard = (heard_ns - query.start_ns) // (query.width_s * _S_NS) + 1
    return max(heard, int(bins.bin.max()) + 1 if len(bins) else 0)


def curve(bins: ValueBins, count: int, until: int) -> tuple[list[float | None], list[float | None], list[bool]]:
    """Lowest, highest and "not known for some of it" of each of `count` parts. bins: of one tag, by bin; until: from this part on
    nothing is known.
    """
    low: list[float | None] = [None] * count
    high: list[float | None] = [None] * count
    unknown = [True] * count
    rows = dict(zip(bins.bin.tolist(), range(len(bins)), strict=True))
    held = bins.last[rows[-1]] if -1 in rows else np.nan
    for place in range(min(count, until)):
        row = rows.get(place)
        inside = [held] if row is None else [held, bins.low[row], bins.high[row]]
        known = [float(value) for value in inside if not np.isnan(value)]
        if known:
            low[place], high[place] = min(known), max(known)
        unknown[place] = bool(np.isnan(held)) or (row is not None and bool(bins.lost[row]))
        held = held if row is None else bins.last[row]
    return low, high, unknown
