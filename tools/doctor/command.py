"""`nhip doctor [SITE.yaml]`: what this computer lacks for an agent, and what to do about it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.exits import FAILED, MISCONFIGURED, fail
from cli.terminal import show_json, show_table
from tools.doctor.assess import Diagnosis, Severity, assess, worst
from tools.doctor.gather import account_of, gather, why_no_numpy
from words import complaint, say

if TYPE_CHECKING:
    from config import Site

INSTALLED_SITE: Final = Path("/etc/nhip/site.yaml")
INSTALLED_OUTBOX: Final = Path("/var/lib/nhip/site.outbox")
_OUTBOX_MB: Final = 1000
"""What to keep free where nothing else can be asked."""


@dataclass(frozen=True)
class DoctorOptions:
    """site_file: None for the installed one, if there is one; outbox: None for the one that belongs to it; user: who runs
    the agent, "" for the service's account, else the present one.
    """

    site_file: Path | None
    outbox: Path | None
    user: str
    as_json: bool
    lang: str


def run(options: DoctorOptions) -> int:
    """Prints a row for each finding. Exit status 0 if nothing keeps the agent from working, 1 if something does, 2 for a
    site file or a user that is not there.
    """
    lang = options.lang
    try:
        account = account_of(options.user)
    except KeyError:
        fail(say("doctor.no_user", lang, user=options.user), MISCONFIGURED)
    named = options.site_file
    site_file = named or INSTALLED_SITE
    if named and not named.is_file():
        fail(say("doctor.no_site_file", lang, file=named), MISCONFIGURED)
    outbox = options.outbox or (named.with_suffix(".outbox") if named else INSTALLED_OUTBOX)
    numpy = why_no_numpy()
    site, wrong = (None, []) if numpy or not site_file.is_file() else _read(site_file, lang)
    computer = gather(numpy, site, site_file, outbox, account, _OUTBOX_MB if numpy else _budget_mb())
    findings = [*assess(computer), *wrong]
    if not site_file.is_file():
        findings.append(Diagnosis(Severity.WARN, "site.missing", {"file": site_file}))
    _show(findings, options)
    return FAILED if worst(findings) is Severity.FAIL else 0


def _read(file: Path, lang: str) -> "tuple[Site | None, list[Diagnosis]]":
    """The site, and what is wrong with its file: without NumPy it cannot be read."""
    from config import Misconfigured, read_site

    try:
        site, _ = read_site(file)
    except Misconfigured as error:
        first = complaint(error.complaints[0], lang)
        return None, [Diagnosis(Severity.FAIL, "site.bad", {"file": file, "n": len(error.complaints), "first": first})]
    return site, [Diagnosis(Severity.FINE, "site.fine", {"file": file})]


def _budget_mb() -> int:
    from agent.outbox.outbox import BUDGET_MB  # needs NumPy

    return BUDGET_MB


def _show(findings: list[Diagnosis], options: DoctorOptions) -> None:
    lang = options.lang
    if options.as_json:
        rows = [
            {**asdict(finding), "text": say(f"doctor.{finding.key}", lang, **finding.values)} for finding in findings
        ]
        show_json({"level": worst(findings), "findings": rows})
        return
    headings = ["", say("doctor.column.topic", lang), say("doctor.column.finding", lang)]
    show_table(
        headings,
        [
            [
                say(f"doctor.level.{finding.level}", lang),
                say(f"doctor.topic.{finding.key.partition('.')[0]}", lang),
                say(f"doctor.{finding.key}", lang, **finding.values),
            ]
            for finding in findings
        ],
    )
