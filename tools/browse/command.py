"""`nhip browse`: walks a server's address space, shows what it holds, and prints tags ready for the site file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import ValidationError

from adapters.browsing import Browsed, BrowsedNode, Browser, Login, Walk
from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.kinds import all_kinds
from cli.exits import INTERRUPTED
from cli.signals import run_until_ctrl_c
from cli.terminal import notice, progress, show_json
from tools.browse.lines import as_json as node_json
from tools.browse.lines import matches, shown_value, tag_lines
from tools.browse.show_as import browsable, is_browsable, show_as
from tools.faults import full_text
from words import say


@dataclass(frozen=True)
class BrowseRequest:
    """The command's arguments. settings: of the connection, as in the site file; certificates: folder of the client
    certificate, which is created if the settings need one; find: text to search for; profile: the equipment whose nodes
    are wanted, or "".
    """

    url: str
    settings: Mapping[str, str]
    certificates: Path
    login: Login | None
    walk: Walk
    find: str = ""
    profile: str = ""


def browse(request: BrowseRequest, *, as_json: bool, lang: str) -> int:
    """Walks, prints, and returns the exit status: 0 nodes found, 1 none or not connected, 2 unusable settings,
    `INTERRUPTED` after Ctrl-C, with the nodes found so far."""
    if request.profile and not is_browsable(request.profile):
        notice(say("browse.as.unknown", lang, name=request.profile, known=", ".join(browsable())))
        return 2
    browser = _browser_for(request.url)
    try:
        browsed, _ = run_until_ctrl_c(_browsed(browser, request, quiet=as_json))
    except ValidationError as error:
        notice("\n".join(item["msg"] for item in error.errors(include_url=False)))
        return 2
    except (NotConnected, DeviceMisconfigured) as error:
        notice(full_text(connection_fault(error), lang))
        return 1
    if browsed.interrupted and not as_json:
        notice(say("cli.interrupted" if browsed.nodes else "cli.interrupted_early", lang))
    if request.profile:
        status = show_as(request.profile, request.url, request.settings, browsed, as_json=as_json, lang=lang)
        return INTERRUPTED if browsed.interrupted else status
    nodes = [node for node in browsed.nodes if matches(node, request.find)] if request.find else list(browsed.nodes)
    if as_json:
        found = [node_json(node) for node in nodes]
        show_json({"url": request.url, "cut": browsed.cut, "interrupted": browsed.interrupted, "nodes": found})
    else:
        _show(nodes, browsed, request, lang)
    if browsed.interrupted:
        return INTERRUPTED
    return 0 if nodes else 1


def _browser_for(url: str) -> Browser:
    """That of the kind whose servers have such an address; else the first kind, whose model then reports what is wrong."""
    browsers = [(kind, kind.browser) for kind in all_kinds() if kind.browser is not None]
    return next((browser for kind, browser in browsers if kind.typed(url) is not None), browsers[0][1])


async def _browsed(browser: Browser, request: BrowseRequest, *, quiet: bool) -> Browsed:
    walk = request.walk
    with progress(quiet=quiet) as report:
        return await browser(
            request.url, request.settings, request.certificates, walk, request.login,
            lambda nodes: report(request.url, nodes, walk.most),
        )  # fmt: skip


def _show(nodes: Sequence[BrowsedNode], browsed: Browsed, request: BrowseRequest, lang: str) -> None:
    if not nodes and not browsed.interrupted:
        click.echo(say("browse.nothing", lang, find=request.find or "*", n=len(browsed.nodes)))
    for node in nodes:
        click.echo(_line(node, flat=bool(request.find)))
    if browsed.cut:
        click.echo(say("browse.cut", lang, n=request.walk.most))
    lines = tag_lines(nodes)
    if lines:
        click.echo("\n" + say("browse.lines", lang, n=len(lines)))
        click.echo("\n".join(f"      {line}" for line in lines))


def _line(node: BrowsedNode, *, flat: bool) -> str:
    name = " / ".join(node.path) if flat else "  " * node.depth + node.name
    if node.kind != "variable":
        return name
    when = f"{node.source_time:%Y-%m-%d %H:%M:%S}" if node.source_time else ""
    status = "" if node.status == "Good" else node.status
    columns = [f"= {shown_value(node.value)}", node.data_type, when, status, f"[{node.node}]"]
    return f"{name}  " + "  ".join(part for part in columns if part)
