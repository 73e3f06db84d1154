"""The command `nhip`. Each command imports what it runs only when it is used, so that every command starts quickly."""

import logging
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from agent.commands.clock import COMMANDS as CLOCK
from agent.commands.declare import COMMANDS as DECLARE
from agent.commands.outbox import COMMANDS as OUTBOX
from agent.commands.recompute import COMMANDS as RECOMPUTE
from agent.commands.show import COMMANDS as SHOW
from center.commands.accounts import COMMANDS as ACCOUNTS
from center.commands.advice import COMMANDS as ADVICE
from center.commands.alerts import COMMANDS as ALERTS
from center.commands.backup import COMMANDS as BACKUP
from center.commands.enroll import COMMANDS as ENROLMENT
from center.commands.imports import COMMANDS as IMPORT
from center.commands.keys import COMMANDS as KEYS
from center.commands.machines import COMMANDS as MACHINES
from center.commands.monthly import COMMANDS as MONTHLY
from center.commands.quarantine import COMMANDS as QUARANTINE
from center.commands.recount import COMMANDS as RECOUNT
from center.commands.report import COMMANDS as REPORT
from center.commands.trail import COMMANDS as TRAIL
from cli.exits import FAILED, MISCONFIGURED, fail, fail_misconfigured
from cli.front import FrontDoor
from cli.options import Duration, json_option, lang_option
from tools.commands.devices import COMMANDS as DEVICES
from tools.commands.doctor import COMMANDS as DOCTOR
from tools.commands.site_file import COMMANDS as SITE_FILE
from tools.commands.verify import COMMANDS as VERIFY  # each of these imports click only

_path = click.Path(path_type=Path)
_folder = click.Path(path_type=Path, file_okay=False)


def _log() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr, force=True
    )


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nhip")
def main() -> None:
    """Nhịp: OEE for small factories, from the PLC to a support center, without losing data."""


@click.command()
@click.argument("site", metavar="SITE.yaml", type=_path)
@click.option("--outbox", type=_path)
@click.option("--history", type=_folder)
@click.option("--commit-every", type=Duration(), default="10s", show_default=True)
@click.option("--ready-file", type=_path)
@click.option("--progress-file", type=_path)
@click.option("--metrics", default="")
@lang_option
def agent(
    site: Path,
    outbox: Path | None,
    history: Path | None,
    commit_every: float,
    ready_file: Path | None,
    progress_file: Path | None,
    metrics: str,
    lang: str,
) -> None:
    """Reads the PLCs of SITE.yaml, computes OEE and delivers it to the center."""
    import json

    from agent import run as agent_process
    from agent.outbox.disk import OutboxInUse, UnknownFormat
    from cli.files import write_whole
    from config import Misconfigured, Site

    stored_in = outbox or site.with_suffix(".outbox")

    _log()

    def write_progress(progress: dict[str, Any]) -> None:
        if progress_file:
            with suppress(OSError):  # the import itself goes on
                write_whole(progress_file, json.dumps(progress))

    def tell(described: Site) -> str:
        from agent.commands.where import where_to_look

        return where_to_look(described, site, stored_in, metrics or described.metrics or "", lang)

    options = agent_process.Options(
        commit_every_s=commit_every, ready_file=ready_file, progress=write_progress, metrics=metrics, lang=lang
    )
    try:
        agent_process.main(site, stored_in, history, options, tell)
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    except OutboxInUse as error:  # it passes, so a service manager may start it again
        fail(error.text(lang), FAILED)
    except UnknownFormat as error:
        fail(error.text(lang), MISCONFIGURED)


@click.command()
@click.argument("center_file", metavar="CENTER.yaml", type=_path)
@click.option("--ready-file", type=_path)
@lang_option
def center(center_file: Path, ready_file: Path | None, lang: str) -> None:
    """Receives, stores and shows what the agents send, as configured in CENTER.yaml."""
    import center.run as center_process  # missing where only the agent is installed
    from cli.signals import run_until_signal
    from config import Misconfigured

    _log()

    try:
        run_until_signal(
            lambda stop: center_process.run(center_file, stop, ready_file, partial(_tell_address, lang)),
            within_s=center_process.END_S,
        )
    except Misconfigured as error:
        fail_misconfigured(error, lang)


def _tell_address(lang: str, url: str) -> None:
    from words import say

    click.echo(say("console.at", lang, url=url), err=True)


@click.command()
@click.option("--from", "source", type=_path, required=True)
@click.option("--to", "target", type=_path, required=True)
@json_option
@lang_option
def migrate(source: Path, target: Path, as_json: bool, lang: str) -> None:
    """Copies rows and ledger of one CENTER.yaml into the store of another, and compares every sum."""
    from dataclasses import asdict

    from center.commands import migrate as room
    from center.contract.store import StoreRefused, StoreUnavailable
    from cli.terminal import progress, show_json
    from config import Misconfigured
    from words import say

    with progress(quiet=as_json) as report:
        try:
            copied = room.between(source, target, lambda what, done: report(what, done, 1.0))
        except Misconfigured as error:
            fail_misconfigured(error, lang)
        except (room.CannotMigrate, StoreUnavailable, StoreRefused) as error:
            fail(say("migrate.failed", lang, detail=error), FAILED)
    if as_json:
        show_json(asdict(copied))
    else:
        click.echo(say("migrate.copied", lang, **asdict(copied)))
        click.echo(say("migrate.different" if copied.differences else "migrate.equal", lang))
        for line in copied.differences:
            click.echo(f"  {line}")
    sys.exit(FAILED if copied.differences else 0)


@click.command()
@click.argument("factory", metavar="FACTORY.yaml", type=_path)
@click.option("--history", type=_folder)
@click.option("--history-from")
@click.option("--ports-file", type=_path)
@click.option("--http", "http_port", type=int)
@lang_option
def simulate(
    factory: Path,
    history: Path | None,
    history_from: str | None,
    ports_file: Path | None,
    http_port: int | None,
    lang: str,
) -> None:
    """Serves the simulated factory of FACTORY.yaml over Modbus TCP and OPC UA."""
    from datetime import datetime

    from cli.exits import fail_misconfigured
    from config import Misconfigured, load_file
    from demo.simulate import SimulateOptions
    from demo.simulate import simulate as serve_factory
    from simulator.factory import BadFactory, Factory
    from words import say

    _log()
    try:
        model = load_file(factory, Factory)
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    try:
        since_ns = None if history_from is None else round(datetime.fromisoformat(history_from).timestamp() * 1e9)
    except ValueError:
        fail(say("simulate.bad_moment", lang, value=history_from), MISCONFIGURED)
    try:
        serve_factory(model, SimulateOptions(history, since_ns, ports_file, http_port, lang))
    except BadFactory:
        fail(say("simulate.nobody_works", lang, file=factory), MISCONFIGURED)


@click.command()
@click.argument("site", metavar="SITE.yaml", type=_path)
@click.option("--samples", type=_folder, required=True)
@json_option
@click.option("--by", default="")
@click.option("--formula", type=click.Choice(["nakajima", "iso22400"]))
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "since", default="")
@click.option("--to", "until", default="")
@click.option("--advice", is_flag=True)
@lang_option
def replay(
    site: Path,
    samples: Path,
    as_json: bool,
    by: str,
    formula: str | None,
    html: Path | None,
    since: str,
    until: str,
    advice: bool,
    lang: str,
) -> None:
    """Computes recorded samples as the agent would: KPIs by machine, shift and product, losses and stops."""
    from replay import command

    options = command.ReplayOptions(samples, by, formula or "", as_json, html, lang, since, until, advice)
    sys.exit(command.run(site, options))


@click.command()
@click.option(
    "--for",
    "for_s",
    type=Duration(),
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--days", type=float)
@click.option("--kill-agent-after", type=Duration())
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--folder", type=_folder)
@click.option("--broker", default="")
@click.option("--seed", type=int, default=1, show_default=True)
@lang_option
def demo(
    for_s: float | None,
    report: Path | None,
    days: float | None,
    kill_agent_after: float | None,
    port: int,
    folder: Path | None,
    broker: str,
    seed: int,
    lang: str,
) -> None:
    """Runs a simulated factory, agent, broker and center with eight weeks of history, to look at in the browser."""
    from demo import command

    headless = for_s is not None
    settings = command.Settings(
        for_s=for_s,
        report=report,
        days=days if days is not None else (0.0 if headless else 56.0),
        kill_after_s=kill_agent_after,
        port=0 if headless and port == 8080 else port,
        broker=broker,
        seed=seed,
        lang=lang,
    )
    if folder is not None:
        sys.exit(command.run(settings, folder))
    with tempfile.TemporaryDirectory(prefix="nhip-demo-") as temporary:
        sys.exit(command.run(settings, Path(temporary)))


main.add_section("technician", (*DEVICES, *SITE_FILE))
main.add_section("gateway", (agent, *DOCTOR, *VERIFY, *SHOW, *DECLARE, *CLOCK, *OUTBOX, *RECOMPUTE))
main.add_section("recorded", (replay,))
main.add_section(
    "center",
    (
        center,
        *ADVICE,
        *ACCOUNTS,
        *TRAIL,
        *KEYS,
        *ENROLMENT,
        *IMPORT,
        *REPORT,
        *MONTHLY,
        *ALERTS,
        *QUARANTINE,
        *RECOUNT,
        *MACHINES,
        *BACKUP,
        migrate,
    ),
)
main.add_section("developer", (demo, simulate))


if __name__ == "__main__":
    main()
