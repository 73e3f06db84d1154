"""What needs somebody, from the answers about a site: one row for each thing, with the address of the act that ends it. Pure.

Of a machine the first thing that keeps its numbers from being trusted is named; what comes after can wait until that is
mended.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from center.console.draw.kpis import FULLY_COVERED
from center.console.draw.names import alerts_page, declare_page, machine_page, named, targets_page
from words import duration, number, percent, say

Row = Mapping[str, Any]
GROUPS: Final = ("alerts", "trust", "target", "reasons")
"""What goes on now and nobody has taken on, what cannot be trusted, who is far from the target, stops that nobody has explained."""
_UNTRUSTED: Final = ("performance_above_1", "rejects_above_pieces", "more_than_scheduled")
_NO_GAP: Final = 0.5
"""Points below the target that are not worth a row."""


@dataclass(frozen=True)
class Work:
    """A thing to do. group: of `GROUPS`; weight: the heavier the earlier in its group; whose: machine or gateway; url, act:
    where it is done, and what that is called.
    """

    group: str
    weight: float
    site: str
    whose: str
    sentence: str
    url: str
    act: str


@dataclass(frozen=True)
class ListedMachine:
    """A machine as the list names it. may_declare: whether the viewer may say what it lacks."""

    site: str
    id: str
    name: str
    line: str
    may_declare: bool


def gateway_work(rows: Iterable[Row], sentences: Callable[[Row], Sequence[str]], url: str, lang: str) -> Iterator[Work]:
    """Gateways that are silent or have a trouble. sentences: what is wrong with one, as the delivery page says it."""
    for row in rows:
        told = list(sentences(row))
        if not row["online"]:
            told.insert(0, say("work.gateway_away", lang))
        if told:
            more = "" if len(told) == 1 else " " + say("work.and_more", lang, count=len(told) - 1)
            yield Work("trust", 2e9, row["site"], row["gateway"], told[0] + more, url, say("work.act.gateway", lang))


def machine_work(machine: ListedMachine, row: Row, lang: str) -> Iterator[Work]:
    """What one machine's row of `trend` asks for: trust, and the distance to its OEE target."""
    page = machine_page(machine.site, machine.id, span="7d")
    trust = _distrust(machine, row, page, lang)
    if trust:
        sentence, url, act, weight = trust
        yield Work("trust", weight, machine.site, machine.name, sentence, url, act)
    for gap in row.get("targets", ()):
        if gap["kind"] == "oee" and gap["points"] is not None and gap["points"] < -_NO_GAP:
            lost = gap["minutes"]
            sentence = say(
                "work.below_target",
                lang,
                actual=percent(gap["actual"], lang),
                target=percent(gap["target"], lang),
                points=number(-gap["points"], lang, 1),
            )
            if lost is not None:
                sentence += " " + say("work.minutes_lost", lang, lost=duration(-lost * 60_000, lang))
            yield Work(
                "target", -(lost or 0.0), machine.site, machine.name, sentence, page, say("work.act.losses", lang)
            )


def _distrust(machine: ListedMachine, row: Row, page: str, lang: str) -> tuple[str, str, str, float] | None:
    scheduled_ms, coverage = row["scheduled_ms"], row["kpis"]["coverage"]
    if not scheduled_ms:
        return None
    if coverage is not None and coverage < FULLY_COVERED:
        sentence = say("work.coverage", lang, coverage=percent(coverage, lang))
        return sentence, page, say("work.act.holes", lang), (1 - coverage) * scheduled_ms
    for flag in _UNTRUSTED:
        if flag in row["flags"]:
            return say(f"flag.{flag}", lang), page, say("work.act.look", lang), scheduled_ms * 0.5
    why = row["why_null"].get("oee") or row["why_null"].get("quality") or row["why_null"].get("performance")
    if why == "quality_not_known" and machine.may_declare:
        url = declare_page(machine.site, machine.id, field="rejects")
        return say(f"why_null.{why}", lang), url, say("work.act.rejects", lang), scheduled_ms * 0.25
    if why in ("quality_not_known", "no_ideal_time"):
        return say(f"why_null.{why}", lang), page, say("work.act.look", lang), scheduled_ms * 0.25
    return None


def reasons_work(
    machine: ListedMachine, lengths_ms: Sequence[int], lang: str, *, all_of_them: bool = True
) -> Iterator[Work]:
    """Stops of a machine that nobody has explained. all_of_them: whether these are all that there are."""
    if lengths_ms:
        total, longest = sum(lengths_ms), max(lengths_ms)
        sentence = say(
            "work.unexplained" if all_of_them else "work.unexplained_at_least",
            lang,
            count=number(len(lengths_ms), lang),
            total=duration(total, lang),
            longest=duration(longest, lang),
        )
        url = machine_page(machine.site, machine.id, span="7d", stops="unexplained")
        yield Work("reasons", total, machine.site, machine.name, sentence, url, say("work.act.reasons", lang))


def without_target(machines: Sequence[ListedMachine], rows: Iterable[Row], lang: str) -> Iterator[Work]:
    """A site none of whose machines has a target: nobody can be far from it."""
    if machines and not any(row.get("targets") for row in rows):
        site = machines[0].site
        yield Work(
            "target", -1.0, site, "", say("work.no_target", lang), targets_page(site), say("work.act.targets", lang)
        )


def machines_of(rows: Iterable[Row], lang: str, *, may_declare: bool) -> list[ListedMachine]:
    """The machines of a site that its site file still names."""
    return [
        ListedMachine(
            row["site"],
            row["id"],
            named(row["name"], lang, row["id"]),
            named(row["line_name"], lang, row["line"]),
            may_declare,
        )
        for row in rows
        if row["named"]
    ]


def alert_work(rows: Iterable[Row], lang: str) -> Iterator[Work]:
    """Open alerts that nobody has taken on, the latest first."""
    waiting = [row for row in rows if not row["acknowledged"]]
    for place, row in enumerate(waiting):
        whose = named(row["detail"].get("machine", {}), lang, row["machine"]) or row["gateway"]
        url = alerts_page(row["site"], row["id"])
        yield Work("alerts", -place, row["site"], whose, row["text"][lang], url, say("work.act.alert", lang))


def in_order(found: Iterable[Work], groups: Sequence[str] = GROUPS) -> dict[str, list[Work]]:
    """By group, the heaviest first."""
    out: dict[str, list[Work]] = {group: [] for group in groups}
    for work in sorted(found, key=lambda item: (-item.weight, item.site, item.whose)):
        out[work.group].append(work)
    return out
