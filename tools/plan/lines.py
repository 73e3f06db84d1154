"""The plan of a site, by the kinds of its devices. Pure."""

from adapters.kinds import kind
from adapters.planned import LinePlan, ServerPlan
from config.devices.device import DeviceModel
from config.site.model import Site


def plans_of(site: Site, answer_s: float) -> list[LinePlan | ServerPlan]:
    """Lines and devices in the order of the file. answer_s: response time of a device [s]."""
    sharing: dict[tuple[str, str, str], dict[str, DeviceModel]] = {}
    for name, device in site.devices.items():
        alone = "" if device.line else name
        sharing.setdefault((device.kind, device.line, alone), {})[name] = device
    return [plan for (name, _, _), devices in sharing.items() for plan in kind(name).plan(devices, answer_s)]


def lines_of(site: Site, answer_s: float) -> list[LinePlan]:
    """The lines that devices share."""
    return [plan for plan in plans_of(site, answer_s) if isinstance(plan, LinePlan)]


def servers_of(site: Site) -> list[ServerPlan]:
    """The devices with a connection of their own."""
    return [plan for plan in plans_of(site, 0.0) if isinstance(plan, ServerPlan)]
