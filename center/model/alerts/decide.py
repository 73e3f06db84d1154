"""Which alerts begin and end, from what is observed now and what was open before. Pure: it is given the time.

One cause is told once. What is a consequence of something that is told already does not begin: a gateway that is away is one
alert, and not one for each of its machines and kinds. Hysteresis is in levels (between bad and calm there is a band that changes
nothing) and in time (what is bad for a moment only does not begin, what is calm for a moment only does not end). What
cannot be told now changes nothing: while a gateway is away its machines' alerts neither begin nor end.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from center.model.alerts.alert import GONE, OVER, AlertKey, AlertRecord, Gravity, Observed
from config.alerts import ALERT_KINDS, AlertKind

_COVERS: Final[Mapping[AlertKind, tuple[AlertKind, ...]]] = {
    "center": ("no_data", "stop", "oee", "pieces", "coverage"),
    "no_data": ("no_data", "stop", "oee", "pieces", "coverage"),
    "stop": ("oee", "pieces"),
    "oee": ("pieces",),
}
"""By kind the kinds that are its consequences, of the same machine or of machines of the same gateway."""


class Timing(NamedTuple):
    """Since when something has been bad, or calm, without a break [ns UTC]; None where it is not."""

    bad_ns: int | None = None
    calm_ns: int | None = None


@dataclass(frozen=True)
class AlertChanges:
    """What changes now. end: with how; answered: those that somebody has taken on elsewhere; timings: for the next time."""

    begin: Sequence[Observed]
    end: Sequence[tuple[AlertRecord, str]]
    answered: Sequence[tuple[AlertRecord, str]]
    timings: Mapping[AlertKey, Timing]


def decide(
    observed: Iterable[Observed],
    alerts: Iterable[AlertRecord],
    timings: Mapping[AlertKey, Timing],
    now_ns: int,
    blind: Collection[tuple[str, AlertKind]] = (),
) -> AlertChanges:
    """The changes. alerts: all that are open, and those that ended lately; blind: sites and kinds that could not be looked at,
    whose alerts stay as they are. The order of what is observed does not matter, and neither do equal keys but the last.
    """
    known = list(alerts)
    open_by_key = {alert.key: alert for alert in known if alert.is_open}
    seen = {item.key: item for item in observed}
    causes = [_Cause(alert.key, alert.owner, alert.ended_ns) for alert in known]
    begin, end, answered, kept = [], [], [], dict[AlertKey, Timing]()
    for item in sorted(
        seen.values(), key=lambda item: (ALERT_KINDS.index(item.key.kind), not item.key.gateway, item.key)
    ):
        before, alert = timings.get(item.key, Timing()), open_by_key.get(item.key)
        timing = kept[item.key] = Timing(
            (before.bad_ns or now_ns) if item.level is Gravity.BEGINS else None,
            (before.calm_ns or now_ns) if item.level is Gravity.CALM else None,
        )
        if alert is None:
            settled = timing.bad_ns is not None and now_ns - timing.bad_ns >= item.settle_ns
            if settled and not any(cause.covers(item) for cause in causes):
                begin.append(item)
                causes.append(_Cause(item.key, item.owner, 0))
        elif timing.calm_ns is not None and now_ns - timing.calm_ns >= item.calm_ns:
            end.append((alert, OVER))
        elif item.answered_by and not alert.acknowledged:
            answered.append((alert, item.answered_by))
    for key, alert in open_by_key.items():
        if key not in seen and (key.site, key.kind) not in blind:
            end.append((alert, GONE))
    return AlertChanges(begin, end, answered, kept)


class _Cause(NamedTuple):
    """Something that is told, or was. ended_ns: 0 while it is."""

    key: AlertKey
    owner: str
    ended_ns: int

    def covers(self, item: Observed) -> bool:
        """Whether what is observed is a consequence of it. Data that a gateway failed to send are missing from the shift also
        after it is back.
        """
        if item.key == self.key or item.key.kind not in _COVERS.get(self.key.kind, ()):
            return False
        if self.ended_ns and not (item.key.kind == "coverage" and self.ended_ns > item.since_ns):
            return False
        if self.key.kind == "center":
            return True
        of_gateway = bool(self.key.gateway) and self.key.gateway == item.owner and not item.key.gateway
        of_machine = bool(self.key.machine) and self.key.machine == item.key.machine
        return self.key.site == item.key.site and (of_gateway or of_machine)
