"""Process values: which tags a question is about, and the rows as columns."""

import math
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.contract.store import KeepsValues, ValueQuery
from center.model.times import BadQuestion, iso
from center.model.viewer import Viewer
from center.queries.scope import UnknownSite, zone_of
from center.runtime.state import CenterState
from oee.model.states import Quality
from wire.values import Values, select_values

MAX_ROWS: Final = 100_000
HELD_NS: Final = 25 * 3_600_000_000_000
"""How far back the value is sought that held when a window began: gateways say each value once a day at least."""
MAX_TAGS: Final = 1000
_DEFAULT_NS: Final = 24 * 3_600_000_000_000


def values(
    center: CenterState,
    viewer: Viewer,
    site: str,
    *,
    gateway: str = "",
    machines: Sequence[str] = (),
    devices: Sequence[str] = (),
    tags: Sequence[str] = (),
    start_ns: int | None = None,
    end_ns: int | None = None,
    limit: int = 10_000,
) -> dict[str, Any]:
    """Process values in `[from, to)`, tag by tag, and the row before that held when the window began.

    machines: those that use the tag's device; devices and tags as the site file names them; nothing given means all
    of the site. Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`.
    """
    zone = zone_of(center, viewer, site)
    high = center.now_ns() if end_ns is None else end_ns
    low = max(high - _DEFAULT_NS, 0) if start_ns is None else start_ns
    if low >= high:
        raise BadQuestion("from is not before to")
    known = center.ledger_cache.sites.values(site)
    wanted = {
        (owner, tag)
        for (owner, tag), value in known.items()
        if (not gateway or owner == gateway)
        and (not machines or set(machines) & set(value.machines))
        and (not devices or tag.partition(".")[0] in devices)
        and (not tags or tag in tags)
    }
    # tags that the site file names no more may still have rows
    wanted |= {(gateway, tag) for tag in tags if not machines and not devices}
    names = sorted({tag for _, tag in wanted})
    if not names and (machines or devices or gateway):
        raise UnknownSite(
            f"site {site!r} sends no such process values; its site file names under `values` what it sends"
        )
    if len(names) > MAX_TAGS:
        raise BadQuestion(f"{len(names)} tags; at most {MAX_TAGS} in one answer: ask for a device, a machine or tags")
    found: dict[str, Values] = {}
    if isinstance(center.store, KeepsValues):
        found = center.store.values(ValueQuery(site, names, low, high, HELD_NS, limit + 1, gateway))
    inside = sorted(t_ns for rows in found.values() for t_ns in rows.t_ns.tolist() if t_ns >= low)
    truncated = len(inside) > limit
    until_ns = inside[limit] if truncated else high
    series = [
        {"gateway": owner, "tag": tag, "unit": known[owner, tag].unit if (owner, tag) in known else "", **columns}
        for owner, rows in found.items()
        for tag, columns in _by_tag(select_values(rows, rows.t_ns < until_ns), zone)
    ]
    return {
        "site": site,
        "from": iso(low, zone),
        "to": iso(until_ns, zone),
        "timezone": zone.key,
        "series": series,
        "truncated": truncated,
    }


def _by_tag(rows: Values, zone: ZoneInfo) -> list[tuple[str, dict[str, list[Any]]]]:
    out: dict[str, dict[str, list[Any]]] = {}
    columns = (rows.tag.tolist(), rows.t_ns.tolist(), rows.number.tolist(), rows.text.tolist(), rows.quality.tolist())
    for tag, t_ns, number, text, quality in zip(*columns, strict=True):
        mine = out.setdefault(tag, {"t": [], "value": [], "quality": []})
        mine["t"].append(iso(t_ns, zone))
        mine["value"].append(text if text is not None else None if math.isnan(number) else number)
        mine["quality"].append(Quality(quality).name.lower())
    return list(out.items())
