"""Names of things in the language of the page, and the addresses of their pages as the browser that is answered reaches
them. Pure but for that.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from center.api.outside import outside
from words import say

Row = Mapping[str, Any]


def named(names: Mapping[str, str], lang: str, otherwise: str) -> str:
    """A name in the language; else in the other one, else the id."""
    return names.get(lang) or next((text for text in names.values() if text), otherwise)


def reason_name(reason: str, reasons: Mapping[str, Row], lang: str) -> str:
    """A reason in the language; one that no site file names is its own name."""
    return named(reasons[reason]["name"], lang, reason) if reason in reasons else reason


def product_name(product: str, products: Mapping[str, Row], lang: str) -> str:
    """A product in the language."""
    if product in ("", "?"):
        return say("product.unknown", lang)
    return named(products[product]["name"], lang, product) if product in products else product


def machine_page(site: str, machine: str, **selection: str) -> str:
    """The address of a machine's page. selection: what it shows, `span` for instance."""
    path = outside(f"/machine/{quote(site, safe='')}/{quote(machine, safe='')}")
    return f"{path}?{urlencode(selection)}" if selection else path


def report_page(site: str) -> str:
    """The address of a site's shift report."""
    return outside(f"/report/{quote(site, safe='')}")


def months_page(site: str, **selection: str) -> str:
    """The address of a site's monthly reports. selection: `month` and `revision`, or `draft` with a month."""
    path = outside(f"/months/{quote(site, safe='')}")
    return f"{path}?{urlencode(selection)}" if selection else path


def papers_page(site: str) -> str:
    """The address of what a site's monthly reports aim at and refer to."""
    return outside(f"/months/{quote(site, safe='')}/papers")


def benchmark_page(site: str, **selection: str) -> str:
    """The address of a site's place in the benchmark. selection: `quarter`."""
    path = outside(f"/benchmark/{quote(site, safe='')}")
    return f"{path}?{urlencode(selection)}" if selection else path


def statements_page(site: str) -> str:
    """The address of the page of a factory's capability statements."""
    return outside(f"/statements/{quote(site, safe='')}")


def maintenance_page(site: str) -> str:
    """The address of a site's maintenance plan."""
    return outside(f"/maintenance/{quote(site, safe='')}")


def alerts_page(site: str = "", alert: str = "") -> str:
    """The address of the page of alerts. site: only of this one; alert: the one that is meant."""
    query = f"?{urlencode({'site': site})}" if site else ""
    return outside(f"/alerts{query}") + (f"#{alert_anchor(alert)}" if alert else "")


def alert_anchor(alert: str) -> str:
    """Where an alert stands on the page of alerts."""
    return f"alert-{quote(alert, safe='')}"


def targets_page(site: str) -> str:
    """The address of a site's targets."""
    return outside(f"/targets/{quote(site, safe='')}")


def delivery_page(site: str) -> str:
    """The address of the page of a site's gateways."""
    return outside(f"/delivery?{urlencode({'site': site})}")


def decision_page(site: str, gateway: str) -> str:
    """The address of the page on which somebody decides about a second box of a gateway."""
    return outside(f"/delivery/{quote(site, safe='')}/{quote(gateway, safe='')}")


def declare_page(site: str, machine: str, **presets: str) -> str:
    """The address of the page on which a machine's declarations are made. presets: `from` and `to` as the API writes them,
    and the `field` to declare.
    """
    path = outside(f"/declare/{quote(site, safe='')}/{quote(machine, safe='')}")
    return f"{path}?{urlencode(presets)}" if presets else path


def declare_many_page(site: str, machine: str, **words: str) -> str:
    """The address of the page on which many stops get one reason. words: window and filter, as a machine's page has them."""
    path = outside(f"/declare/{quote(site, safe='')}/{quote(machine, safe='')}/many")
    return f"{path}?{urlencode(words)}" if words else path
