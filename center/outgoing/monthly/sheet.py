"""The month as people read it, in one language, from its content alone: the same for page and PDF. Pure."""

from collections.abc import Sequence
from typing import Final

from center.outgoing.monthly.content import PPM, TOPICS, MonthContent, VerdictOfMonth, canonical, digest_of
from center.outgoing.monthly.figures import MachineFigures, Moved
from center.outgoing.monthly.parts import SECONDS, MonthWords, history_section, objectives_section
from center.outgoing.reports.sheet import (
    ReportSheet,
    SheetCell,
    SheetRow,
    SheetSection,
    SheetTable,
    SheetTile,
    named,
)
from oee.kpi.maintenance import DueTask
from words import duration, hours, number, say
from words.catalogue import catalogue

_FACTORS: Final = ("availability", "performance", "quality")
_MOST_LOSSES: Final = 12
_HOUR_US: Final = 3_600_000_000
SIGNATURES: Final = ("prepared", "reviewed", "approved")
_WIDE: Final = 0.02
_TRUST_TONES: Final = {"yes": "good", "reserved": "", "no": "bad"}


def month_sheet(content: MonthContent, lang: str, *, draft: bool = False) -> ReportSheet:
    """The report in a language. draft: it is not issued yet."""
    words = MonthWords(content, lang)
    state = words.tell("draft") if draft else words.tell("revision", n=content.revision)
    site = named(content.site_name, lang, content.site)
    sections = [
        _issue(words, draft=draft),
        objectives_section(words),
        history_section(words),
        _machines(words),
        _losses(words),
        _maintenance(words),
        _actions(words),
        _gaps(words),
        _elsewhere(words),
        _corrections(words),
        _method(words),
        _signatures(words),
    ]
    subtitle = f"{site} · {words.month(content.month)} · {state}"
    return ReportSheet(lang, words.tell("title"), subtitle, _tiles(words), sections)


def foot_of(content: MonthContent, lang: str) -> str:
    """The line at the end of each page."""
    words = MonthWords(content, lang)
    site, month = named(content.site_name, lang, content.site), words.month(content.month)
    digest = digest_of(canonical(content))
    return words.tell(
        "foot", site=site, month=month, revision=words.tell("revision", n=content.revision), digest=digest[:16]
    )


def _tiles(words: MonthWords) -> list[SheetTile]:
    figures, lang = words.figures, words.lang
    values, whole = figures.together.values, figures.compliance
    trusted = words.tell(f"trusted.{figures.trusted}")
    covered = words.tell("coverage", coverage=words.share(values["coverage"]))
    mtbf = words.figure("mtbf_s", values["mtbf_s"])
    done = words.tell("of_due", n=number(whole.in_time, lang), all=number(whole.due, lang))
    gaps = len(figures.gaps)
    return [
        SheetTile(words.tell("trusted"), trusted, covered, _TRUST_TONES[figures.trusted]),  # type: ignore[arg-type]
        SheetTile(words.tell("tile.oee"), words.share(values["oee"]), _bounds(words, figures.together)),
        SheetTile(words.tell("tile.mtbf"), mtbf, words.limits(figures.together.mtbf, 3600)),
        SheetTile(words.tell("tile.pm"), words.share(whole.ratio), done if whole.due else words.tell("none_due")),
        SheetTile(words.tell("tile.gaps"), number(gaps, lang), "", "bad" if gaps else "good"),
    ]


def _bounds(words: MonthWords, found: MachineFigures) -> str:
    low, high = found.values["oee_low"], found.values["oee_high"]
    return "" if low is None or high is None else words.tell("range", low=words.share(low), high=words.share(high))


def _issue(words: MonthWords, *, draft: bool) -> SheetSection:
    content, trust, figures = words.content, words.content.trust, words.figures
    made = words.tell("issue.by", when=words.moment(content.made), who=content.made_by)
    scope = words.tell("issue.machines", n=number(len(content.machines), words.lang))
    rows = [
        ("site", named(content.site_name, words.lang, content.site)),
        ("period", words.month(content.month)),
        ("scope", scope),
        ("made", made),
        *([("why", content.why)] if content.why else []),
        *([("prior", content.prior)] if content.prior else []),
        *([] if draft else [("digest", digest_of(canonical(content)))]),
        ("head", content.audit_head),
    ]
    notes = []
    if trust.missing_ms:
        notes.append(words.tell("trust.missing", length=duration(trust.missing_ms, words.lang)))
    if trust.missing_envelopes:
        notes.append(say("report.envelopes", words.lang, n=number(trust.missing_envelopes, words.lang)))
    if figures.unexplained:
        notes.append(words.tell("trust.unexplained", share=words.share(figures.unexplained)))
    if trust.unverified:
        products = ", ".join(named(item, words.lang, "?") for item in trust.unverified)
        notes.append(say("report.unverified", words.lang, products=products))
    if trust.without_calendar:
        notes.append(say("report.without_calendar", words.lang, n=number(trust.without_calendar, words.lang)))
    cells = [SheetRow([SheetCell(words.tell(f"issue.{key}"), "", "faint"), SheetCell(text)]) for key, text in rows]
    table = SheetTable(words.heads("what", "value"), cells)
    return SheetSection("issue", words.tell("issue"), [SheetCell(note, "", "bad") for note in notes], table)


def _machines(words: MonthWords) -> SheetSection:
    rows = [
        SheetRow(_machine(words, words.machine(name), found), kind="" if name else "total")
        for name, found in [*words.figures.machines.items(), ("", words.figures.together)]
    ]
    factors = [say(f"report.head.{key}", words.lang) for key in ("oee", "a", "p", "q")]
    heads = [words.tell("head.machine"), *factors, *words.heads("failures", "mtbf", "mttr")]
    table = SheetTable(heads, rows, frozenset(range(1, 8)))
    return SheetSection("machines", words.tell("machines"), [SheetCell(words.tell("machines.note"))], table)


def _machine(words: MonthWords, name: str, found: MachineFigures) -> list[SheetCell]:
    values, lang = found.values, words.lang
    low, high, covered = values["oee_low"], values["oee_high"], values["coverage"]
    wide = low is not None and high is not None and (high - low > _WIDE or (covered or 0) < 1 - _WIDE)
    why = found.why_null.get("oee")
    cells = [SheetCell(name, say(f"why_null.{why}", lang) if why else "", "strong")]
    cells.append(SheetCell(words.share(values["oee"]), _bounds(words, found) if wide else "", "strong"))
    cells += [SheetCell(words.share(values[key])) for key in _FACTORS]
    cells.append(SheetCell(number(found.failures, lang)))
    for key, limits in (("mtbf_s", found.mtbf), ("mttr_s", found.mttr)):
        divisor = SECONDS[key][0]
        value = values[key]
        text = "–" if value is None else number(value / divisor, lang, 1)
        cells.append(SheetCell(text, words.limits(limits, divisor)))
    return cells


def _losses(words: MonthWords) -> SheetSection:
    lost_us, lang = words.figures.lost_us, words.lang
    found = [row for row in words.content.losses if row.us > 0 and row.state != "planned_stop"][:_MOST_LOSSES]
    if not found:
        return SheetSection("losses", words.tell("losses"), [SheetCell(words.tell("losses.none"))])
    rows, begin = [], 0.0
    for row in found:
        share = row.us / lost_us
        key = f"state.{row.state}" if f"state.{row.state}" in catalogue() else f"waterfall.{row.state}"
        reason = named(row.reason_name, lang, row.reason)
        cells = [
            SheetCell(f"{say(key, lang)} · {reason}" if reason else say(key, lang), "", "strong"),
            SheetCell(number(row.us / _HOUR_US, lang, 1)),
            SheetCell(words.share(share)),
            SheetCell(number(row.before_us / _HOUR_US, lang, 1), "", "faint"),
        ]
        rows.append(SheetRow(cells, (begin, min(begin + share, 1.0)), row.state))
        begin = min(begin + share, 1.0)
    told = words.tell(
        "losses.note", length=hours(lost_us / 1000, lang), share=words.share(sum(row.us for row in found) / lost_us)
    )
    table = SheetTable(words.heads("loss", "hours", "share", "before"), rows, frozenset({1, 2, 3}), bars=True)
    return SheetSection("losses", words.tell("losses"), [SheetCell(told)], table)


def _maintenance(words: MonthWords) -> SheetSection:
    content, figures, lang = words.content, words.figures, words.lang
    title, share = words.tell("maintenance"), words.tell("maintenance.share", share=words.share(figures.planned_share))
    if not content.tasks:
        return SheetSection(
            "maintenance", title, [SheetCell(words.tell("maintenance.none"), "", "bad"), SheetCell(share)]
        )
    whole = figures.compliance
    counts = {key: number(getattr(whole, key), lang) for key in ("in_time", "late", "overdue", "open")}
    notes = [words.tell("maintenance.sum", ratio=words.share(whole.ratio), **counts), share]
    rows = []
    for task in content.tasks:
        for due in task.dues:
            state = DueTask(due.due, due.until, due.done).state(content.today)
            tone = "bad" if state in ("late", "overdue") else "good" if state == "in_time" else ""
            said = " · ".join(text for text in (due.by, due.note) if text)
            cells = [
                SheetCell(
                    task.title,
                    f"{words.machine(task.machine)}, {words.tell('every', n=number(task.every_days, lang))}",
                    "strong",
                ),
                SheetCell(words.tell(f"kind.{task.kind}")),
                SheetCell(words.day(due.due)),
                SheetCell(words.day(due.until)),
                SheetCell(words.day(due.done), said),
                SheetCell(words.tell(f"due.{state}"), "", tone),  # type: ignore[arg-type]
            ]
            rows.append(SheetRow(cells))
    table = SheetTable(words.heads("task", "kind", "due", "until", "done", "state"), rows) if rows else None
    return SheetSection("maintenance", title, [SheetCell(note) for note in notes], table)


def _actions(words: MonthWords) -> SheetSection:
    found, lang = words.content.actions, words.lang
    if not found:
        return SheetSection("actions", words.tell("actions"), [SheetCell(words.tell("actions.none"))])
    rows = []
    for item in found:
        cause = words.tell("cause", cause=item.cause) if item.cause else words.tell("no_cause")
        result = say(f"action_result.{item.result}", lang) if item.result else say(f"action_state.{item.state}", lang)
        tone = {"verified": "good", "likely": "good", "worse": "bad"}.get(item.result, "")
        cells = [
            SheetCell(item.what, cause, "strong"),
            SheetCell(", ".join(words.machine(name) for name in item.machines)),
            SheetCell(item.owner or "–", words.day(item.due)),
            SheetCell(result, _verdict(words, item.says.get(lang, ""), item.numbers), tone),  # type: ignore[arg-type]
        ]
        rows.append(SheetRow(cells))
    table = SheetTable(words.heads("action", "machine", "owner", "verdict"), rows)
    return SheetSection("actions", words.tell("actions"), (), table)


def _verdict(words: MonthWords, says: str, found: VerdictOfMonth | None) -> str:
    """The verdict in words, and the interval of the change where there is one."""
    if found is None or found.change_u is None:
        return says
    low, value, high = (number(part / PPM, words.lang, 3) for part in found.change_u)
    told = words.tell(
        "verdict.change", metric=say(f"action_metric.{found.metric}", words.lang), low=low, value=value, high=high
    )
    return f"{says} {told}".strip()


def _gaps(words: MonthWords) -> SheetSection:
    found = words.figures.gaps
    if not found:
        return SheetSection("gaps", words.tell("gaps"), [SheetCell(words.tell("gaps.none"), "", "good")])
    rows = []
    for gap in found:
        if gap.kind == "overdue":
            text = words.tell("gap.overdue", days=number(gap.age_days, words.lang), task=gap.about)
        else:
            text = words.tell("gap.above" if gap.kind == "mttr_s" else "gap.kind", kind=words.kpi(gap.kind))
        rows.append(SheetRow([SheetCell(words.machine(gap.machine), "", "strong"), SheetCell(text, "", "bad")]))
    return SheetSection("gaps", words.tell("gaps"), (), SheetTable(words.heads("machine", "what"), rows))


def _elsewhere(words: MonthWords) -> SheetSection:
    rows, given = [], words.content.references
    for topic in TOPICS:
        named_here = [item for item in given if item.topic == topic]
        for item in named_here:
            title = SheetCell(item.title, words.tell(f"elsewhere.{topic}"), "strong")
            rows.append(SheetRow([title, *(SheetCell(text or "–") for text in (item.place, item.edition, item.owner))]))
        if not named_here and topic != "other":
            missing = SheetCell(words.tell("elsewhere.missing"), "", "bad")
            rows.append(SheetRow([SheetCell(words.tell(f"elsewhere.{topic}")), missing, SheetCell(""), SheetCell("")]))
    table = SheetTable(words.heads("title", "place", "edition", "owner"), rows)
    return SheetSection("elsewhere", words.tell("elsewhere"), [SheetCell(words.tell("elsewhere.note"))], table)


def _corrections(words: MonthWords) -> SheetSection:
    moved, declared = words.figures.moved, words.content.declared
    notes = [] if moved else [SheetCell(words.tell("corrections.none"), "", "good")]
    if declared:
        notes.append(SheetCell(words.tell("corrections.declared")))
    for item in declared:
        made, start = words.moment(item.made), words.moment(item.start)
        values = {"who": item.who, "machine": words.machine(item.machine), "field": item.field, "value": item.value}
        notes.append(SheetCell(words.tell("declared", made=made, start=start, **values), "", "faint"))
    table = difference_table(words.content, moved, words.lang) if moved else None
    return SheetSection("corrections", words.tell("corrections"), notes, table)


def difference_table(content: MonthContent, moved: Sequence[Moved], lang: str) -> SheetTable:
    """Figures as they were issued and as they are now."""
    words = MonthWords(content, lang)
    rows = [
        SheetRow(
            [
                SheetCell(words.month(item.month), words.tell("revision", n=item.revision)),
                SheetCell(words.machine(item.machine), "", "strong"),
                SheetCell(words.kpi(item.figure)),
                SheetCell(words.figure(item.figure, item.issued)),
                SheetCell(words.figure(item.figure, item.now)),
            ]
        )
        for item in moved
    ]
    return SheetTable(words.heads("month", "machine", "figure", "issued", "now"), rows, frozenset({3, 4}))


def _method(words: MonthWords) -> SheetSection:
    content = words.content
    lines = [words.tell("method.formula", formula=content.formula, software=content.software)]
    lines += [words.tell(f"method.{key}") for key in ("mtbf", "mttr", "pm", "share", "verdict")]
    for item in content.site_files:
        lines.append(words.tell("method.file", gateway=item.gateway, hash=item.hash, since=words.moment(item.since)))
    lines.append(words.tell("method.check"))
    return SheetSection("method", words.tell("method"), [SheetCell(line) for line in lines])


def _signatures(words: MonthWords) -> SheetSection:
    rows = [
        SheetRow([SheetCell(words.tell(f"sign.{key}"), "", "strong"), *([SheetCell("")] * 3)]) for key in SIGNATURES
    ]
    table = SheetTable(words.heads("role", "name", "day", "signature"), rows, tall=True)
    return SheetSection("signatures", words.tell("signatures"), (), table)
