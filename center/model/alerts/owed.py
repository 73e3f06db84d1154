"""Who is to be told of an alert, and when. Pure: it is given the time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, NamedTuple

from center.model.alerts.alert import AlertRecord
from config.alerts import AlertRules, AlertsModel, RouteModel
from oee.model.calendars import to_ns

Step = Literal["begun", "escalated", "ended"]
_S_NS: Final = 1_000_000_000


class Outlet(NamedTuple):
    """A channel's single recipient. address: of mail, "" for a service."""

    channel: str
    address: str = ""

    @property
    def name(self) -> str:
        """As it is stored and shown."""
        return f"{self.channel}/{self.address}" if self.address else self.channel


class Owed(NamedTuple):
    """A message that somebody is to get."""

    alert: str
    step: Step
    outlet: str


@dataclass(frozen=True)
class Telling:
    """Whom a center tells of what. zone: of each site is given with the question."""

    settings: AlertsModel

    @property
    def outlets(self) -> list[Outlet]:
        """Every recipient of every channel."""
        return [outlet for name in self.settings.channels for outlet in self._of(name)]

    def owed(self, alert: AlertRecord, zone: tzinfo, now_ns: int) -> list[Owed]:
        """The messages that are due by now about an open alert; none once somebody has acknowledged it."""
        if not alert.is_open or alert.acknowledged:
            return []
        quiet = quiet_until(self.settings.rules_of(alert.key.site), zone, now_ns) is not None
        out = []
        for route in self._routes(alert):
            if now_ns - alert.begun_ns >= route.after * _S_NS and (route.quiet == "ignore" or not quiet):
                step: Step = "escalated" if route.after else "begun"
                out += [Owed(alert.id, step, outlet.name) for name in route.to for outlet in self._of(name)]
        return list(dict.fromkeys(out))

    def end_due_ns(self, alert: AlertRecord, outlet: str, zone: tzinfo, now_ns: int) -> int:
        """When somebody who was told of it may be told that it is over [ns UTC]."""
        until_ns = quiet_until(self.settings.rules_of(alert.key.site), zone, now_ns)
        ignores = any(
            route.quiet == "ignore" and any(outlet == item.name for name in route.to for item in self._of(name))
            for route in self._routes(alert)
        )
        return now_ns if until_ns is None or ignores else until_ns

    def sites_named(self) -> set[str]:
        """The sites that the settings name."""
        return {*self.settings.sites, *(site for route in self.settings.send for site in route.sites)}

    def sees_outlet(self, outlet: str, sites: Iterable[str]) -> bool:
        """Whether the outlet is told of any of these sites."""
        wanted = set(sites)
        return any(
            (not route.sites or wanted.intersection(route.sites))
            and any(outlet == item.name for name in route.to for item in self._of(name))
            for route in self.settings.send
        )

    def _routes(self, alert: AlertRecord) -> list[RouteModel]:
        return [route for route in self.settings.send if _about(route, alert)]

    def _of(self, channel: str) -> list[Outlet]:
        return [Outlet(channel, address) for address in self.settings.channels[channel].mail] or [Outlet(channel)]


def _about(route: RouteModel, alert: AlertRecord) -> bool:
    """Whether a route is about an alert."""
    key = alert.key
    if (route.sites and key.site not in route.sites) or (route.kinds and key.kind not in route.kinds):
        return False
    if route.lines and not set(route.lines).intersection(alert.lines):
        return False
    return key.kind != "call" or not route.calls or alert.detail.get("call") in route.calls


def quiet_until(rules: AlertRules, zone: tzinfo, now_ns: int) -> int | None:
    """When the quiet hours end in which this time lies [ns UTC], also where one follows another; None outside of them."""
    until_ns = now_ns
    for _ in rules.quiet:
        at = datetime.fromtimestamp(until_ns // _S_NS, UTC).astimezone(zone)
        until_ns = max([until_ns, *(end for hours in rules.quiet if (end := _end_of(hours, at)) is not None)])
    return until_ns if until_ns > now_ns else None


def _end_of(hours: tuple[int, int], now: datetime) -> int | None:
    """When quiet hours end in which a local time lies [ns UTC]."""
    begin_s, end_s = hours
    at_s = now.hour * 3600 + now.minute * 60 + now.second
    inside = begin_s <= at_s < end_s if begin_s < end_s else at_s >= begin_s or at_s < end_s
    if not inside:
        return None
    day = now.date() + timedelta(days=int(begin_s > end_s and at_s >= begin_s))
    midnight = datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)
    return to_ns(midnight + timedelta(seconds=end_s))  # wall clock: the zone's offset may change in between
