"""What is wrong at this moment: machines that stand, machines and gateways of which nothing is known, calls for help, and a
center that is cut off. Told from live messages and calls; the store is not asked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine

from center.api.calls import found_calls
from center.database.notices import listed
from center.model.alerts.alert import AlertKey, Gravity, Observed
from center.outgoing.alerts.machines_now import UNKNOWN, MachineNow, SinceWhen
from center.runtime.state import CenterState
from config.alerts import AlertKind, AlertRules
from oee.model.calls import Call
from oee.model.states import State

LIVE_KINDS: Final[tuple[AlertKind, ...]] = ("no_data", "stop")
_S_NS: Final = 1_000_000_000
_CALM_NS: Final = 60 * _S_NS
_DAY_NS: Final = 86_400 * _S_NS
_MOST_ROWS: Final = 5000
_ANSWERED: Final = ("on_the_way", "arrived")
_MINOR: Final = State.MINOR_STOP.word


@dataclass
class LiveCauses:
    """Remembers what live messages do not say: since when a machine has stood without a break, and a gateway been away."""

    _standing: SinceWhen = field(default_factory=SinceWhen)
    _away: SinceWhen = field(default_factory=SinceWhen)

    def of_center(self, center: CenterState, rules: AlertRules, now_ns: int) -> Observed:
        """Whether the center hears its broker."""
        told = center.health.condition("broker")
        key = AlertKey("", "center")
        if told == "ok":
            self._away.release(key)
            return Observed(key, Gravity.CALM, now_ns, calm_ns=_CALM_NS)
        since_ns = self._away.hold(key, now_ns)
        detail = {"why": told}
        return Observed(key, _longer(since_ns, rules.no_data.longer, now_ns), since_ns, calm_ns=_CALM_NS, detail=detail)

    def of_site(
        self, machines: Sequence[MachineNow], rules: AlertRules, now_ns: int, *, hears: bool
    ) -> Iterator[Observed]:
        """Of the machines of one site and their gateways. hears: whether the center hears its broker."""
        by_gateway: dict[str, list[MachineNow]] = {}
        for machine in machines:
            by_gateway.setdefault(machine.gateway, []).append(machine)
        for gateway, of_gateway in by_gateway.items():
            yield self._gateway(gateway, of_gateway, rules, now_ns, hears=hears)
        for machine in machines:
            yield self._no_data(machine, rules, now_ns, hears=hears)
            if (stop := self._stop(machine, rules, now_ns, hears=hears)) is not None:
                yield stop

    def _gateway(
        self, gateway: str, machines: Sequence[MachineNow], rules: AlertRules, now_ns: int, *, hears: bool
    ) -> Observed:
        key = AlertKey(machines[0].site, "no_data", "", gateway)
        lines = tuple(sorted({machine.line for machine in machines if machine.line}))
        more: dict[str, Any] = {"owner": gateway, "lines": lines, "calm_ns": _over_ns(rules.no_data.over)}
        more["detail"] = {"machines": len(machines)}
        if not hears:
            self._away.release(key)  # its silence is ours
            return Observed(key, Gravity.UNKNOWN, now_ns, **more)
        if machines[0].online:
            self._away.release(key)
            return Observed(key, Gravity.CALM, now_ns, **more)
        since_ns = self._away.hold(key, now_ns)
        on_duty = [machine.duty_since_ns for machine in machines if machine.on_duty]
        if not on_duty:
            return Observed(key, Gravity.HOLDS, since_ns, **more)
        since_ns = max(since_ns, min(on_duty))
        return Observed(key, _longer(since_ns, rules.no_data.longer, now_ns), since_ns, **more)

    def _no_data(self, machine: MachineNow, rules: AlertRules, now_ns: int, *, hears: bool) -> Observed:
        key = AlertKey(machine.site, "no_data", machine.id)
        more = _more(machine, calm_ns=_over_ns(rules.no_data.over))
        if not hears or not machine.online:
            self._away.release(key)
            return Observed(key, Gravity.UNKNOWN, now_ns, **more)
        if machine.state != UNKNOWN:
            self._away.release(key)
            return Observed(key, Gravity.CALM, now_ns, **more)
        since_ns = max(self._away.hold(key, machine.since_ns or now_ns), machine.duty_since_ns)
        gravity = _longer(since_ns, rules.no_data.longer, now_ns)
        return Observed(key, gravity if machine.on_duty and not machine.in_break else Gravity.HOLDS, since_ns, **more)

    def _stop(self, machine: MachineNow, rules: AlertRules, now_ns: int, *, hears: bool) -> Observed | None:
        """None outside of its shift: nothing is expected of it then."""
        key = AlertKey(machine.site, "stop", machine.id)
        more = _more(machine, calm_ns=_over_ns(rules.stop.over), state=machine.state, reason=machine.reason)
        if not machine.on_duty:
            self._standing.release(key)
            return None
        if not hears or not machine.online or machine.state == UNKNOWN:
            return Observed(key, Gravity.UNKNOWN, now_ns, **more)
        if machine.state not in (*rules.stop.states, _MINOR):
            self._standing.release(key)
            return Observed(key, Gravity.CALM, now_ns, **more)
        since_ns = max(self._standing.hold(key, machine.since_ns), machine.duty_since_ns)
        gravity = Gravity.HOLDS if machine.in_break else _longer(since_ns, rules.stop.longer, now_ns)
        return Observed(key, gravity, since_ns, **more)

    def keep_only(self, observed: Iterable[Observed]) -> None:
        """Forgets machines and gateways that are no more."""
        keys = [item.key for item in observed]
        self._standing.keep_only(keys)
        self._away.keep_only(keys)


def calls_observed(engine: Engine, machines: Sequence[MachineNow], rules: AlertRules, now_ns: int) -> list[Observed]:
    """Calls of the last day from the machines of one site. Raises `StoreUnavailable`."""
    by_id = {machine.id: machine for machine in machines}
    sites = sorted({machine.site for machine in machines})
    rows = listed(engine, sites, kinds=("call", "step"), since_ns=now_ns - _DAY_NS, limit=_MOST_ROWS)
    steps = [row.notice for row in rows if row.notice.kind == "step" and row.notice.about in _ANSWERED]
    answers = {step.of: step.by for step in sorted(steps, key=lambda step: -step.at_ns)}  # of each the first one
    return [
        _call(by_id[call.machine], call, answers.get(call.id, ""), rules, now_ns)
        for _, _, call in found_calls(rows)
        if call.machine in by_id
    ]


def _call(machine: MachineNow, call: Call, answered_by: str, rules: AlertRules, now_ns: int) -> Observed:
    """Once somebody is on the way no new alert begins. answered_by: the tablet that said so."""
    answered = call.step in _ANSWERED
    gravity = Gravity.HOLDS if answered else _longer(call.called_ns, rules.call.longer, now_ns)
    if call.ended_ns is not None:
        gravity = Gravity.CALM
    more = _more(machine, call=call.kind, by=call.by, step=call.step)
    key = AlertKey(machine.site, "call", machine.id, "", call.id)
    return Observed(key, gravity, call.called_ns, answered_by=answered_by if answered else "", **more)


def _more(machine: MachineNow, calm_ns: int = 0, **detail: Any) -> dict[str, Any]:
    """What every observation of a machine says."""
    lines = (machine.line,) if machine.line else ()
    return {"owner": machine.gateway, "lines": lines, "calm_ns": calm_ns, "detail": {"machine": machine.name, **detail}}


def _longer(since_ns: int, limit_s: float, now_ns: int) -> Gravity:
    return Gravity.BEGINS if now_ns - since_ns >= limit_s * _S_NS else Gravity.HOLDS


def _over_ns(over_s: float) -> int:
    return round(over_s * _S_NS)
