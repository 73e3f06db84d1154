"""The estimated data volume to the center, as sentences. Pure."""

from agent.uplink.budget import LIVE, MUST, VALUES
from agent.uplink.data_estimate import expected, month_mb
from config import Site
from words import number, say


def data_lines(site: Site, lang: str) -> list[str]:
    """The estimate, and a warning if it is more than the site file allows; nothing without a center."""
    if site.center is None:
        return []
    parts = month_mb(expected(site))
    sizes = {part: number(size, lang, 0) for part, size in parts.items()}
    total = sum(parts.values())
    lines = [
        say("data.month", lang, total=number(total, lang, 0), must=sizes[MUST], live=sizes[LIVE], values=sizes[VALUES])
    ]
    limit = site.center.data_mb
    if limit is not None and parts[MUST] > limit:
        lines.append(say("data.impossible", lang, limit=number(limit, lang), must=sizes[MUST]))
    elif limit is not None and total > limit:
        lines.append(say("data.over", lang, limit=number(limit, lang)))
    return lines
