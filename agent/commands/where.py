"""What `nhip agent` says at its start: of which site it is, and where to look."""

import shlex
from pathlib import Path

from config import Site
from words import say


def where_to_look(site: Site, file: Path, outbox: Path, metrics: str, lang: str) -> str:
    """Lines for a person at the terminal or in the journal. file: the site file as it was named; metrics: where they are
    served, "" for nowhere.
    """
    name = site.name.get(lang, site.site)
    lines = [
        say("agent.begins", lang, name=name, machines=len(site.machines), devices=len(site.devices), outbox=outbox)
    ]
    lines.append(say("agent.look", lang, command=f"nhip show {shlex.quote(str(file))}"))
    if site.center is None:
        lines.append(say("agent.no_center", lang))
    else:
        lines.append(say("agent.center", lang, broker=site.center.broker or site.center.bundle))
    if site.andon is not None:
        scheme = "https" if site.andon.certificate else "http"
        lines.append(say("agent.andon", lang, url=f"{scheme}://{site.andon.listen}"))
    if metrics:
        lines.append(say("agent.metrics", lang, url=f"http://{metrics}/metrics"))
    return "\n".join(lines)
