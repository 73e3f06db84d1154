"""Addresses of the console's pages. Pure."""

from urllib.parse import quote, urlencode


def machine_page(site: str, machine: str) -> str:
    """A machine's page."""
    return f"/machine/{quote(site, safe='')}/{quote(machine, safe='')}"


def declare_page(site: str, machine: str, **window: str) -> str:
    """The page on which a machine's declarations are made. window: `from` and `to` as the API writes them."""
    path = f"/declare/{quote(site, safe='')}/{quote(machine, safe='')}"
    return f"{path}?{urlencode(window)}" if window else path
