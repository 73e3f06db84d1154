"""Three rules of advice in plain pandas, as somebody would write them in a notebook, for `bench/advice.py` to compare with.

The same questions with the same answers, down to the last digits that matter: scheduled minutes without odd days, the shift's own
pace, slots with their slot test, chains of set-ups, the bootstrap. Statistics of a few dozen numbers (EWC, slot test) are the
project's own on both sides; what differs is how millions of cells become these numbers.
"""

from typing import Any

import numpy as np
import pandas as pd

from oee.advice.statistics.ranks import resampled
from oee.advice.statistics.ratios import one_window, slot_test
from oee.model.calendars import Calendar, cut
from oee.model.facts import FACT_COLUMNS
from oee.model.states import CalendarClass, State

MINUTE = pd.Timedelta(minutes=1)
SUMMED = ["running_ms", "setup_ms", "planned_stop_ms", "unknown_ms", "watched_ms", "running_ideal_known_ms", "ideal_total_us",
          "ideal_good_us", "ideal_judged_us"]  # fmt: skip
Found = dict[tuple[str, tuple[str, ...]], dict[str, float]]


def three_rules(whole: Any, calendar: Calendar, start_ns: int, end_ns: int) -> Found:
    """Figures by rule and key of `slow_start`, `micro_cluster` and `changeover_tail`. whole: a window with its facts and stops."""
    facts, stops = _frames(whole)
    stretches = _stretches(calendar, start_ns, end_ns)
    minutes, weeks, running_breaks = _minutes(facts, stretches)
    setups = _setups(stops, stretches)
    found = _edges(minutes, weeks, running_breaks)
    found |= _short_stops(minutes, stops, setups)
    return found | _changeovers(minutes, setups, weeks)


def _frames(whole: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    facts = pd.DataFrame(whole.facts.sums, columns=list(FACT_COLUMNS))
    facts["minute"] = pd.to_datetime(whole.facts.minute_ns)
    for name in ("calendar", "business_date", "shift", "product"):
        facts[name] = getattr(whole.facts, name)
    states = [f"{state.word}_ms" for state in State]
    facts["watched_ms"] = facts[states].sum(axis=1) - facts["unknown_ms"]
    columns = ("id", "start_ns", "end_ns", "state", "reason", "product", "to_product")
    stops = pd.DataFrame({name: getattr(whole.stops, name) for name in columns})
    stops["start"], stops["end"] = pd.to_datetime(stops["start_ns"]), pd.to_datetime(stops["end_ns"])
    return facts, stops


def _stretches(calendar: Calendar, start_ns: int, end_ns: int) -> pd.DataFrame:
    spans = cut(calendar, start_ns, end_ns)
    out = pd.DataFrame({name: getattr(spans, name) for name in ("calendar", "business_date", "shift")})
    out["begin"], out["finish"] = pd.to_datetime(spans.start_ns), pd.to_datetime(spans.end_ns)
    out["pause"] = (out["finish"] - out["begin"]).where(out["calendar"] == CalendarClass.BREAK)
    whole_break = out["pause"].sum()
    out = out[out["calendar"] == CalendarClass.SCHEDULED].reset_index(drop=True)
    out["opens"] = (out[["business_date", "shift"]] != out[["business_date", "shift"]].shift()).any(axis=1)
    out["instance"] = out["opens"].cumsum() - 1
    out["length"] = (out["finish"] - out["begin"]) // MINUTE
    out["opened"] = out.groupby("instance")["begin"].transform("min")
    out.attrs["break_ms"] = whole_break / pd.Timedelta(milliseconds=1)
    return out


def _minutes(facts: pd.DataFrame, stretches: pd.DataFrame) -> tuple[pd.DataFrame, float, float]:
    """Scheduled minutes of days that are not odd, the weeks that they stand for, and the share of breaks that it ran through."""
    breaks = facts.loc[facts["calendar"] == CalendarClass.BREAK, "running_ms"].sum() / max(
        stretches.attrs["break_ms"], 1
    )
    planned = facts[facts["calendar"] == CalendarClass.SCHEDULED]
    every = pd.date_range(
        stretches["begin"].min(), stretches["finish"].max(), freq="min", inclusive="left", name="minute"
    )
    summed = planned.groupby("minute")[SUMMED].sum().reindex(every, fill_value=0)
    most = planned.sort_values(["watched_ms", "product"], ascending=[True, False]).groupby("minute")["product"].last()
    minutes = summed.assign(product=most.reindex(every)).reset_index()
    stretches = stretches.rename_axis("stretch").reset_index()
    minutes = pd.merge_asof(minutes, stretches, left_on="minute", right_on="begin")
    minutes = minutes[minutes["minute"] < minutes["finish"]]
    by_day = minutes.groupby("business_date").agg(n=("minute", "size"), watched=("watched_ms", "sum"))
    usual = by_day.groupby((by_day.index + 3) % 7)["n"].transform("median")
    odd = (by_day["n"] < 0.5 * usual) | (by_day["watched"] < 0.8 * 60_000 * by_day["n"])
    rested = by_day.index.to_series().diff() > 4
    odd |= rested | rested.shift(fill_value=False)
    weeks = (facts["minute"].max() - facts["minute"].min()).ceil("D") / pd.Timedelta(weeks=1)
    weeks = round(weeks) * float((~odd).mean())
    return minutes[minutes["business_date"].map(~odd)].reset_index(drop=True), weeks, breaks


def _edges(minutes: pd.DataFrame, weeks: float, running_breaks: float) -> Found:
    """Ideal minutes lost in the first half hour of a stretch, less the median of blocks of the same shift at pace."""
    judged = minutes["ideal_judged_us"].sum() >= 0.9 * minutes["ideal_total_us"].sum()
    into = (minutes["minute"] - minutes["begin"]) // MINUTE
    disturbed = (minutes[["setup_ms", "planned_stop_ms"]] > 0).any(axis=1)
    disturbed |= minutes["running_ms"] > minutes["running_ideal_known_ms"]
    tidy = minutes.assign(
        block=into // 30, disturbed=disturbed, made=minutes["ideal_good_us" if judged else "ideal_total_us"]
    )
    grouped = tidy.groupby(["stretch", "block"])
    blocks = grouped[["instance", "length", "opens", "opened", "begin"]].first()
    blocks["made"], blocks["disturbed"] = grouped["made"].sum(), grouped["disturbed"].any()
    blocks = blocks.reset_index()
    blocks["lost"] = 30 - blocks["made"] / 6e7
    since = (blocks["begin"] - blocks["opened"]) / MINUTE + 30 * blocks["block"]
    inner = (blocks["block"] >= 1) & (30 * (blocks["block"] + 2) <= blocks["length"])
    pace = blocks[inner & (since >= 120) & ~blocks["disturbed"]].groupby("instance")["lost"].agg(["median", "size"])
    first = blocks[(blocks["block"] == 0) & (blocks["length"] >= 60) & ~blocks["disturbed"]].join(pace, on="instance")
    first = first[first["size"] >= 4]
    found: Found = {}
    for key, of_shift in (("shift_start", True), ("after_break", False)):
        if not of_shift and running_breaks > 0.5:
            continue
        lost = first.loc[first["opens"] == of_shift, "lost"] - first.loc[first["opens"] == of_shift, "median"]
        mean = one_window(lost.to_numpy(), np.ones(len(lost))) if len(lost) >= 15 else None
        if mean:
            figures = {"lost_min": mean.value, "low_min": mean.low, "high_min": mean.high, "a_week": len(lost) / weeks}
            found["slow_start", (key,)] = figures
    return found


def _short_stops(minutes: pd.DataFrame, stops: pd.DataFrame, setups: pd.DataFrame) -> Found:
    """Short stops per running hour in slots of a shift, and by product, against the rest of the same shifts."""
    minor = stops[stops["state"] == int(State.MINOR_STOP)]
    counted = minor.assign(minute=minor["start"].dt.floor("min")).groupby("minute").size().rename("stops")
    minutes = minutes.join(counted, on="minute").fillna({"stops": 0})
    inside = minor[minor["start"].dt.floor("min").isin(minutes["minute"])]
    if minutes["stops"].sum() < 3 * minutes.loc[minutes["running_ms"] > 0, "instance"].nunique():
        return {}
    since, until = (minutes["minute"] - minutes["begin"]) / MINUTE, (minutes["finish"] - minutes["minute"]) / MINUTE
    slot = pd.Series("middle", minutes.index)
    slot[until <= 20] = "before_edge"
    slot[(since < 15) & ~minutes["opens"]] = "after_break"
    slot[(since < 30) & minutes["opens"]] = "shift_start"
    ran = minutes["running_ms"].cumsum() - minutes["running_ms"]
    for end in setups["last"]:
        after = minutes["minute"] >= end.ceil("min")
        if after.any():
            slot[after & (ran < ran[after.idxmax()] + 3_600_000)] = "after_changeover"
    names: dict[tuple[str, ...], pd.Series] = {
        (name,): slot == name for name in ("after_changeover", "shift_start", "after_break", "before_edge")
    }
    products = sorted(minutes["product"].dropna().unique())
    names |= {("product", name): minutes["product"] == name for name in products if len(products) > 1}
    tidy = minutes.assign(hours=minutes["running_ms"] / 3_600_000)
    mean_min = float((inside["end"] - inside["start"]).mean() / MINUTE)
    found: Found = {}
    for key, chosen in names.items():
        own = tidy[chosen].groupby("instance")[["stops", "hours"]].sum()
        both = tidy.groupby("instance")[["stops", "hours"]].sum().join(own, rsuffix="_own").fillna(0)
        both = both[both["hours"] > 0]
        if both["stops_own"].sum() < 20 or (both["hours_own"] > 0).sum() < 20:
            continue
        rest = both["stops"] - both["stops_own"], both["hours"] - both["hours_own"]
        test = slot_test(both["stops_own"], both["hours_own"], *rest)
        if test:
            figures = {"ratio": test.ratio, "low": test.low, "high": test.high, "rate_per_h": test.rate_slot}
            found["micro_cluster", key] = figures | {"rest_per_h": test.rate_rest, "mean_min": mean_min}
    return found


def _setups(stops: pd.DataFrame, stretches: pd.DataFrame) -> pd.DataFrame:
    """Changeovers: chains of stops that adjoin, from one that names both products to the last set-up in it."""
    rows = stops.sort_values("start").reset_index(drop=True)
    begins = (rows["start"] != rows["end"].shift()) | (rows["to_product"] != "")
    rows["chain"] = begins.cumsum()
    edges = pd.concat([stretches["begin"], stretches["finish"]]).sort_values()
    passed = (stretches["finish"] - stretches["begin"]).cumsum() / MINUTE
    clock = pd.Series(np.repeat(np.r_[0.0, passed], 2)[1:-1], edges.to_numpy().astype(np.int64))
    setup = rows[rows["state"] == int(State.SETUP)].copy()
    until, from_ = (np.interp(setup[name].astype(np.int64), clock.index, clock) for name in ("end", "start"))
    setup["minutes"] = until - from_
    head = rows.groupby("chain")[["start", "product", "to_product"]].first()
    out = setup.groupby("chain").agg(minutes=("minutes", "sum"), last=("end", "max")).join(head)
    return out[out["to_product"] != ""]


def _changeovers(minutes: pd.DataFrame, setups: pd.DataFrame, weeks: float) -> Found:
    """Spread and excess of changeovers, of the machine and of each pair of products."""
    done = setups[setups["start"].dt.floor("min").isin(minutes["minute"]) & (setups["minutes"] > 0)]
    groups = [(("machine",), done)] if len(done) >= 10 else []
    groups += [(pair, rows) for pair, rows in done.groupby(["product", "to_product"]) if len(rows) >= 6]
    found: Found = {}
    for key, rows in groups:
        p20, median, p90 = rows["minutes"].quantile([0.2, 0.5, 0.9])
        drawn = resampled(rows["minutes"], lambda table: table.mean(axis=1) - np.median(table, axis=1))
        figures = {"median_min": median, "p90_min": p90, "p20_min": p20, "mean_min": rows["minutes"].mean()}
        found["changeover_tail", key] = figures | {"a_week": len(rows) / weeks, "sure": float(np.quantile(drawn, 0.1))}
    return found
