"""`nhip scan`: announces the scan, runs it, and shows the result."""

from collections.abc import Sequence

import click

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.kinds import kind_at
from adapters.modbus.service import scan as modbus
from adapters.modbus.service.peers import Peer, is_serial, title, typed
from adapters.modbus.service.reader import RateLimit
from adapters.modbus.service.registers import ScannedTable, TableOutcome
from cli.exits import INTERRUPTED
from cli.signals import run_until_ctrl_c
from cli.terminal import notice, progress, show_json, show_table
from tools.faults import full_text
from tools.scan import network as net
from words import duration, number, say


def scan_modbus(
    peers: Sequence[Peer], plan: modbus.ScanPlan, rate_limit: RateLimit, *, as_json: bool, lang: str
) -> int:
    """Scans one place with each of its possible settings until something answers.

    Exit status: 0 something answered, 1 nothing did, `INTERRUPTED` after Ctrl-C, with what was found so far.
    """
    notice(say("scan.will", lang, peer=_place(peers), units=spans(plan.units), tables=", ".join(plan.tables),
               first=plan.first, last=plan.last, rate=f"{rate_limit.per_s:g}"))  # fmt: skip
    for answering in sorted({1, len(plan.units)}):
        requests = plan.estimate(answering)
        notice(say("scan.takes", lang, answering=answering, requests=number(requests, lang),
                   time=duration(1000 * requests / rate_limit.per_s, lang)))  # fmt: skip
    notice(say("scan.stop", lang))
    if is_serial(peers[0]):
        silent_s = 2 * 2 * rate_limit.timeout_s * len(plan.units) + peers[0].listen
        notice(say("scan.will_listen", lang, listen=duration(1000 * peers[0].listen, lang),
                   settings=", ".join(map(_speed, peers)), time=duration(1000 * silent_s, lang)))  # fmt: skip
    try:
        result, _ = run_until_ctrl_c(_first_that_answers(peers, plan, rate_limit, quiet=as_json))
    except (NotConnected, DeviceMisconfigured) as error:
        notice(full_text(connection_fault(error), lang))
        return 1
    if as_json:
        show_json(result.as_json(plan))
    else:
        _show(result, plan, lang)
    if result.interrupted:
        return INTERRUPTED
    return 0 if result.units else 1


async def _first_that_answers(
    peers: Sequence[Peer], plan: modbus.ScanPlan, rate_limit: RateLimit, *, quiet: bool
) -> modbus.ScanResult:
    """The scan with the first settings that a unit answered; else one with an invalid response, else the last."""
    unanswered: list[modbus.ScanResult] = []
    with progress(quiet=quiet) as report:
        for peer in peers:
            try:
                result = await modbus.scan(peer, rate_limit, plan, report)
            except DeviceMisconfigured as error:
                if error.elsewhere or (peer is peers[-1] and not unanswered):
                    raise
                continue  # a port that cannot do this speed or parity may do the next
            if result.units or result.interrupted:
                return result
            unanswered.append(result)
    return next((result for result in unanswered if result.invalid_answer), unanswered[-1])


def _place(peers: Sequence[Peer]) -> str:
    first = peers[0]
    return first.line if is_serial(first) else title(first)


def _speed(peer: Peer) -> str:
    return title(peer).rpartition("(")[2].rstrip(")")


def _show(result: modbus.ScanResult, plan: modbus.ScanPlan, lang: str) -> None:
    if result.interrupted:
        notice(say("cli.interrupted" if result.units else "cli.interrupted_early", lang))
    elif not result.units:
        if result.invalid_answer is not None:
            click.echo(full_text(connection_fault(result.invalid_answer), lang))
        click.echo(say("scan.no_unit", lang, units=spans(plan.units)))
        return
    if result.units:
        click.echo(say("scan.found", lang, peer=title(result.peer)))
    complete = {
        unit
        for unit, tables in result.units.items()
        if tables.keys() >= set(plan.tables)
        and all(item.outcome is not TableOutcome.STOPPED for item in tables.values())
    }
    empty = [unit for unit in complete if not any(item.runs for item in result.units[unit].values())]
    rows = [
        [str(unit), table, _ranges(tables.get(table), lang), _at_most(tables.get(table))]
        for unit, tables in result.units.items()
        for table in plan.tables
        if unit not in empty
    ]
    if rows:
        show_table([say(f"scan.column.{key}", lang) for key in ("unit", "table", "ranges", "at_most")], rows)
    if empty:
        click.echo(say("scan.empty_units", lang, units=spans(empty), first=plan.first, last=plan.last))
    if result.not_asked:
        click.echo(say("scan.not_asked", lang, units=spans(result.not_asked)))
    if result.alike:
        click.echo(say("scan.alike", lang, units=spans(result.alike), one=result.alike[0]))
    click.echo(say("scan.done", lang, requests=number(result.requests, lang), step=plan.step))
    holding = [(unit, tables["holding"].runs) for unit, tables in result.units.items() if "holding" in tables]
    unit, first = next(((unit, runs[0][0]) for unit, runs in holding if runs), (0, None))
    if first is not None:
        click.echo(
            say(
                "scan.next",
                lang,
                command=f"nhip bytes {typed(result.peer)} --unit {unit} --holding {first} --shows 12.5",
            )
        )


def _ranges(table: ScannedTable | None, lang: str) -> str:
    """table: None where it was not asked."""
    if table is None:
        return say("scan.table.not_asked", lang)
    ranges = ", ".join(f"{a}–{b}" if a != b else str(a) for a, b in table.runs)
    if ranges and table.outcome is TableOutcome.STOPPED:
        return f"{ranges} … {say('scan.table.stopped', lang)}"
    if table.outcome is not TableOutcome.SCANNED and not ranges:
        return say(f"scan.table.{table.outcome.value}", lang)
    return ranges or say("scan.table.empty", lang)


def _at_most(table: ScannedTable | None) -> str:
    return "" if table is None or table.at_most is None else str(table.at_most)


def scan_network(
    cidr: str, ports: Sequence[int], per_s: float, timeout_s: float, *, yes: bool, as_json: bool, lang: str
) -> int:
    """Looks for open ports. Exit status: 0 some, 1 none or not confirmed, 2 a network that is not scanned, `INTERRUPTED`
    after Ctrl-C, with what was found so far."""
    try:
        hosts = net.targets(cidr)
    except net.NotAllowed as error:
        notice(say(f"scan.network.{error.code}", lang, network=cidr))
        return 2
    connections = len(hosts) * len(ports)
    notice(say("scan.network.will", lang, n=len(hosts), first=hosts[0], last=hosts[-1],
               ports=", ".join(map(str, ports)), rate=f"{per_s:g}", time=duration(1000 * connections / per_s, lang)))  # fmt: skip
    if not yes and not click.confirm(say("scan.network.ask", lang), err=True):
        return 1
    with progress(quiet=as_json) as report:
        tried = 0

        def progressed(n: int) -> None:
            nonlocal tried
            tried = n
            report(hosts[n - 1], n, len(hosts))

        listeners, interrupted = run_until_ctrl_c(net.open_ports(hosts, ports, per_s, timeout_s, progressed))
    if interrupted and not as_json:
        notice(say("cli.interrupted" if listeners else "cli.interrupted_early", lang))
    if as_json:
        found = [{"host": i.host, "port": i.port, "kind": _kind(i)} for i in listeners]
        show_json({"network": cidr, "listeners": found, "interrupted": interrupted, "hosts_tried": tried})
    elif not listeners and interrupted:
        pass
    elif not listeners:
        click.echo(say("scan.network.nobody", lang))
    else:
        headings = [say(f"scan.column.{key}", lang) for key in ("host", "port", "kind", "next")]
        show_table(headings, [[item.host, str(item.port), _kind(item), _next(item)] for item in listeners])
    if interrupted:
        if not as_json:
            click.echo(say("scan.network.tried", lang, n=tried, of=len(hosts)))
        return INTERRUPTED
    return 0 if listeners else 1


def _kind(item: net.OpenPort) -> str:
    kind = kind_at(item.port)
    return kind.name if kind is not None else ""


def _next(item: net.OpenPort) -> str:
    kind = kind_at(item.port)
    if kind is None or kind.next_command is None:
        return f"nhip scan modbus {item.host}:{item.port}"
    return kind.next_command(item.host, item.port)


def spans(numbers: Sequence[int]) -> str:
    """`1-10, 255`."""
    out: list[tuple[int, int]] = []
    for item in sorted(numbers):
        out = [*out[:-1], (out[-1][0], item)] if out and out[-1][1] == item - 1 else [*out, (item, item)]
    return ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in out)
