"""`nhip replay`: arguments in, tables, JSON or a page out, and an exit status."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Console

import words
from cli.exits import FAILED, MISCONFIGURED
from cli.files import write_whole
from cli.terminal import notice, progress, show_json
from cli.times import parse_time
from config import Misconfigured, Site, load_site
from oee.model.calendars import to_ns
from replay.drive import ReplayResult, replay
from replay.past import RecordedPast
from replay.report.advice import Advice, advice_rows
from replay.report.json_object import as_json
from replay.report.names import complain
from replay.report.tables import show
from replay.rows import DEFAULT_BY, GROUPS

FINE: Final = 0
_PIPED_WIDTH: Final = 120


class BadOption(Exception):
    """An option has an impossible value; the message is for the user."""


@dataclass(frozen=True)
class ReplayOptions:
    """The command's options. by: names with commas; since, until: a date or a time, "" where not given;
    advice: also say what to improve.
    """

    samples: Path
    by: str = ""
    formula: str = ""
    json: bool = False
    html: Path | None = None
    lang: str = "en"
    since: str = ""
    until: str = ""
    advice: bool = False


def run(site_file: Path, options: ReplayOptions) -> int:
    """The whole command; returns the exit status."""
    try:
        site = load_site(site_file)
        return _run(site, options)
    except Misconfigured as error:
        lines = [words.complaint(item, options.lang) for item in error.complaints]
    except BadOption as error:
        lines = [str(error)]
    notice("\n".join(lines))
    return MISCONFIGURED


def _run(site: Site, options: ReplayOptions) -> int:
    lang = options.lang
    by = _groups(options.by, lang)
    zone = ZoneInfo(site.timezone)
    since, until = _moment("--from", options.since, zone, lang), _moment("--to", options.until, zone, lang)
    if not options.samples.is_dir():
        raise BadOption(words.say("replay.no_folder", lang, folder=options.samples))
    past = RecordedPast() if options.advice else None
    result = _with_bar(site, options.samples, since or 0, until or 2**62, past, lang)
    advice = None if past is None else _advise(result, past)
    if options.html is not None:
        _write_page(result, options, advice)
    if options.json:
        told = {} if advice is None else {"advice": advice_rows(result, advice)}
        show_json(as_json(result, by, options.formula, lang) | told)
    else:
        console = Console(highlight=False)
        console.width = console.width if console.is_terminal else max(console.width, _PIPED_WIDTH)
        show(result, by, options.formula, lang, console, advice)
    _complain(result, options)
    bad = result.window is None or any(item.severity == "conflict" for item in result.conflicts)
    return FAILED if bad else FINE


def _groups(text: str, lang: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip())) or DEFAULT_BY
    wrong = [name for name in names if name not in GROUPS]
    if wrong:
        raise BadOption(words.say("replay.bad_by", lang, value=wrong[0], groups=", ".join(GROUPS)))
    return names


def _moment(option: str, text: str, zone: ZoneInfo, lang: str) -> int | None:
    if not text:
        return None
    try:
        when = parse_time(text, zone)
    except ValueError as error:
        raise BadOption(words.say("replay.bad_moment", lang, option=option, value=text)) from error
    return to_ns(when)


def _with_bar(site: Site, folder: Path, from_ns: int, to_ns: int, past: RecordedPast | None, lang: str) -> ReplayResult:
    with progress() as report_progress:

        def report(share: float, rows: int) -> None:
            text = words.say("replay.rows_read", lang, n=words.number(rows, lang))
            report_progress(f"{words.say('replay.reading', lang)} · {text}", share, 1.0)

        return replay(site, folder, from_ns=from_ns, to_ns=to_ns, progress=report, past=past)


def _advise(result: ReplayResult, past: RecordedPast) -> Advice:
    from replay.advise import advise  # noqa: PLC0415  # loads SciPy, which a gateway need not have

    return advise(result, past)


def _write_page(result: ReplayResult, options: ReplayOptions, advice: Advice | None) -> None:
    from replay.report.page import page  # noqa: PLC0415  # imported only if a page is wanted

    assert options.html is not None
    try:
        write_whole(options.html, page(result, options.formula, options.lang, advice))
    except OSError as error:
        raise BadOption(words.say("replay.cannot_write", options.lang, file=options.html, detail=error)) from error


def _complain(result: ReplayResult, options: ReplayOptions) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if result.conflicts and not options.json:
        console.print(f"\n{words.say('replay.conflicts', options.lang)}", style="bold")
    for item, text in zip(result.conflicts, complain(result.conflicts, options.lang), strict=True):
        console.print(text, style="yellow" if item.severity == "conflict" else "dim", markup=False)
    if options.html is not None:
        console.print(words.say("replay.written", options.lang, file=options.html), style="dim", markup=False)
