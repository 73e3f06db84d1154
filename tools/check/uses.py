"""What each tag of a site is used for, and how fast its counters may count. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.contract import Fault
from config.devices.kinds import periods_s
from config.site.model import Site
from config.site.names import ONLINE
from oee.engine.counting.limits import Limits, fastest_per_s, machine_limits
from oee.engine.production import per_count
from oee.model.conditions import Node
from oee.model.facts import text_column
from oee.model.machine import Counter, Machine

_BY_LITERAL = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
BLINK_S = 0.5
"""A lamp that blinks once a second is on and off for half a second each; polled more slowly, it may look steady [s]."""


@dataclass(frozen=True)
class Counting:
    """A tag that is a counter of a machine. role: total, good, reject or rework; fastest_per_s: see `fastest`, None if
    unknown; bits: where it wraps; pulse: whether it is a single bit, of which every change must be seen; limits: how far
    it may go, None for what max_per_s says.
    """

    machine: str
    role: str
    fastest_per_s: float | None
    max_per_s: float
    bits: int | None
    pulse: bool
    limits: Limits | None = None


@dataclass(frozen=True)
class Use:
    """What a tag is used for: the machines that depend on it, and the counters that it is. is_number, is_text: whether
    conditions take it for a number or truth value, or for text, everywhere.
    """

    machines: tuple[str, ...] = ()
    counts: tuple[Counting, ...] = ()
    is_number: bool = False
    is_text: bool = False


def uses(site: Site, machines: Mapping[str, Machine]) -> dict[str, Use]:
    """Every tag of the site by `device.tag`; one that no machine depends on has an empty use."""
    out: dict[str, Use] = {}
    for device, model in site.devices.items():
        for tag in model.tags:
            name = f"{device}.{tag}"
            users = tuple(key for key, machine in machines.items() if name in machine.tags())
            counts = tuple(item for key in users for item in _counting(site, machines[key], name))
            kinds = {
                kind
                for key in users
                for rule in machines[key].rules
                if rule.when
                for kind in _kinds(rule.when.node, name)
            }
            out[name] = Use(users, counts, kinds == {float}, kinds == {str})
    return out


def _kinds(node: Node, tag: str) -> set[type]:
    """What a condition takes a tag for: `float` (a number or truth value), `str`, or nothing that can be told."""
    if node.op == "name":
        return {float} if node.args[0] == tag else set()
    if node.op == "above":
        return {float} if node.args[0] == tag else set()
    if node.op in _BY_LITERAL and any(_is_name(arg, tag) for arg in node.args):
        literals = node.args[1] if node.op == "in" else [arg.args[0] for arg in node.args if arg.op == "literal"]
        return {str if isinstance(value, str) else float for value in literals}
    return {kind for arg in node.args if isinstance(arg, Node) for kind in _kinds(arg, tag)}


def _is_name(arg: object, tag: str) -> bool:
    return isinstance(arg, Node) and arg.op == "name" and arg.args[0] == tag


def _counting(site: Site, machine: Machine, name: str) -> list[Counting]:
    return [
        Counting(
            machine.id,
            role,
            fastest(machine, role, counter),
            counter.max_per_s,
            counter.bits,
            is_pulse(site, name),
            machine_limits(machine, role),
        )
        for role, counter in machine.pieces.counters().items()
        if counter.tag == name
    ]


def is_pulse(site: Site, name: str) -> bool:
    """Whether a tag is one bit."""
    tag = site.tag(name)
    return tag is not None and tag.is_bit


def fastest(machine: Machine, role: str, counter: Counter) -> float | None:
    """The highest rate that the site file expects of a counter [counts/s]: `max_per_s`, else that of the product
    with the shortest ideal time; of a machine that makes one product only, that one's.
    """
    return fastest_per_s(machine, role) if counter.guessed else counter.max_per_s


def rate_of(machine: Machine, product: str) -> float:
    """Counts in a second by the ideal time of a product [counts/s]; 0 where it is not known."""
    model = machine.products.get(product)
    if model is None or not model.ideals or not model.ideals[-1].us:
        return 0.0
    return 1e6 / (model.ideals[-1].us * int(per_count(machine, text_column([product]))[0]))


def static_faults(site: Site, machines: Mapping[str, Machine]) -> dict[str, list[Fault]]:
    """Faults visible in the site file alone: counts and blinking that the polling period would miss, by `device.tag`.

    A pulse is high for half of a cycle at most, so both halves must be longer than a period: at most one pulse in
    two periods. A register counts by itself; it must only not advance by half its range between two reads.
    """
    out: dict[str, list[Fault]] = {}
    for name, use in uses(site, machines).items():
        device, _, tag = name.partition(".")
        if tag == ONLINE:
            continue
        period_s = periods_s(site.devices[device])[tag]
        faults = [fault for item in use.counts for fault in _missed(item, period_s)]
        faults += [
            _blinks_unseen(key, period_s) for key in use.machines if period_s > BLINK_S and _blinks(machines[key], name)
        ]
        if faults:
            out[name] = [item for place, item in enumerate(faults) if item not in faults[:place]]
    return out


def _blinks(machine: Machine, name: str) -> bool:
    """Whether a machine's state depends on this tag's blinking."""
    helpers = (node for rule in machine.rules if rule.when is not None for node in rule.when.helpers)
    return any(node.op == "blinking" and node.args[0] == name for node in helpers)


def _blinks_unseen(machine: str, period_s: float) -> Fault:
    return Fault("blink_unseen", "warn", {"machine": machine, "period": f"{period_s:g}", "needed": f"{BLINK_S:g}"})


def _missed(item: Counting, period_s: float) -> list[Fault]:
    rate = item.fastest_per_s
    if item.pulse:
        if rate is None:
            return [Fault("pulse_rate_unknown", "warn", {"machine": item.machine, "period": f"{period_s:g}"})]
        if rate * period_s > 0.5:
            values = {"machine": item.machine, "period": f"{period_s:g}", "rate": f"{rate:.3g}"}
            return [Fault("pulse_too_fast", "fail", values | {"needed": f"{500 / rate:.0f}"})]
        return []
    if rate is not None and item.bits is not None and rate * period_s > 2 ** (item.bits - 1):
        values = {"bits": str(item.bits), "period": f"{period_s:g}", "rate": f"{rate:.3g}"}
        return [Fault("wraps_unseen", "fail", values)]
    return []
