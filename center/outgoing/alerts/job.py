"""Background job that looks for what is wrong, raises and ends alerts, and writes down who is to be told."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from typing import Final
from uuid import uuid4

from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database import alert_messages
from center.database.alerts import acknowledge_alert, begin_alert, ended_since, forget_alerts, open_alerts
from center.model.alerts.alert import AlertKey, AlertRecord, Observed
from center.model.alerts.decide import Timing, decide
from center.model.alerts.owed import Telling
from center.model.sites import newest_bodies
from center.model.viewer import EVERYTHING
from center.outgoing.alerts.live_causes import LIVE_KINDS, LiveCauses, calls_observed
from center.outgoing.alerts.machines_now import MachineNow, machines_now
from center.outgoing.alerts.shift_causes import SHIFT_KINDS, shift_observed, wanted
from center.queries.question import UnknownSite, zone_of
from center.runtime.background import BackgroundJob
from center.runtime.state import CenterState
from config.alerts import AlertKind, AlertsModel

CONDITION: Final = "alerts"
"""The center's condition that says whether alerts are looked for."""
LEASE: Final = "alerts"
_IDLE_S: Final = 5.0
_SHIFT_EVERY_NS: Final = 60_000_000_000
_DAY_NS: Final = 86_400_000_000_000
_KEEP_NS: Final = 400 * _DAY_NS


@dataclass
class _OfShift:
    """What was seen of a site's shifts last, and when."""

    at_ns: int = 0
    observed: list[Observed] = field(default_factory=list)


class AlertJob(BackgroundJob):
    """Alerts are in the database before anybody is told, so that a restart neither repeats nor forgets one. A center with
    several processes raises them in one.
    """

    def __init__(
        self, center: CenterState, engine: Engine, notices: Engine, settings: AlertsModel, idle_s: float = _IDLE_S
    ) -> None:
        """engine: of the database of alerts; notices: of calls for help."""
        super().__init__(center, CONDITION, "alert_errors", idle_s)
        self._engine, self._notices, self._settings = engine, notices, settings
        self._telling, self._live = Telling(settings), LiveCauses()
        self._timings: Mapping[AlertKey, Timing] = {}
        self._shifts: dict[str, _OfShift] = {}
        self._forgotten_ns = 0

    def _step(self) -> tuple[str | None, float]:
        if not self._has_lease(LEASE):
            return None, self._idle_s
        now_ns = self._center.now_ns()
        observed, blind, trouble = self._look(now_ns)
        known = [*open_alerts(self._engine), *ended_since(self._engine, now_ns - _DAY_NS)]
        changes = decide(observed, known, self._timings, now_ns, blind)
        self._timings = changes.timings
        for item in changes.begin:
            if begin_alert(self._engine, self._alert(item, now_ns)):
                self._center.health.count("alerts_begun")
        for alert, why in changes.end:
            calm_ns = changes.timings.get(alert.key, Timing()).calm_ns  # not when it has been calm for long enough
            alert_messages.end_alert(self._engine, alert, why, now_ns, self.due_of(now_ns), calm_ns)
        for alert, by in changes.answered:
            acknowledge_alert(self._engine, alert.id, by, now_ns)
        self._tell(now_ns)
        self._forget(now_ns)
        return trouble or self._unknown_sites() or "ok", self._idle_s

    def due_of(self, now_ns: int) -> alert_messages.DueOf:
        """When an outlet may be told that an alert is over."""
        return lambda alert, outlet: self._telling.end_due_ns(alert, outlet, self._zone(alert.key.site), now_ns)

    def _look(self, now_ns: int) -> tuple[list[Observed], set[tuple[str, AlertKind]], str]:
        """What is seen, which sites and kinds could not be looked at, and why."""
        center, rules = self._center, self._settings
        everything = self._live.of_center(center, rules, now_ns)
        hears = center.health.condition("broker") == "ok"
        observed, blind, trouble = wanted([everything], rules), set[tuple[str, AlertKind]](), ""
        live: list[Observed] = [everything]
        for site in center.ledger_cache.sites.ids():
            of_site, seen, machines = rules.rules_of(site), list[Observed](), list[MachineNow]()
            looks: list[tuple[tuple[AlertKind, ...], Callable[[list[MachineNow]], Iterable[Observed]]]] = [
                (LIVE_KINDS, partial(self._live.of_site, rules=of_site, now_ns=now_ns, hears=hears)),
                (("call",), partial(calls_observed, self._notices, rules=of_site, now_ns=now_ns)),
                (SHIFT_KINDS, partial(self._of_shift, site, now_ns)),
            ]
            for kinds, look in looks:
                try:
                    machines = machines or machines_now(center, site, now_ns)
                    seen += look(machines)
                except StoreUnavailable as error:
                    blind.update((site, kind) for kind in kinds)
                    trouble = f"away: {error}"
                except Exception as error:  # noqa: BLE001  # one site holds up no other; counted and shown
                    center.health.count("alert_errors")
                    blind.update((site, kind) for kind in kinds)
                    trouble = f"{site}: {type(error).__name__}: {error}"[:300]
            live += seen
            observed += wanted(seen, of_site)
        self._live.keep_only(live)
        return observed, blind, trouble

    def _of_shift(self, site: str, now_ns: int, machines: list[MachineNow]) -> list[Observed]:
        """The store is asked once a minute."""
        last = self._shifts.get(site)
        if last is None or now_ns - last.at_ns >= _SHIFT_EVERY_NS:
            rules = self._settings.rules_of(site)
            last = self._shifts[site] = _OfShift(now_ns, shift_observed(self._center, machines, rules, now_ns))
        on = {machine.shift for machine in machines}
        starts = {shift.start_ns for shift in on if shift}
        return [item for item in last.observed if item.since_ns in starts]  # none of a shift that has ended meanwhile

    def _alert(self, item: Observed, now_ns: int) -> AlertRecord:
        detail = dict(item.detail)
        if item.key.site:
            current = self._center.ledger_cache.sites.current(item.key.site)
            detail["site"] = current.body.name if current else {}
        if reason := detail.get("reason"):
            bodies = newest_bodies(self._center.ledger_cache.sites, item.key.site)
            detail["reason_name"] = next((body.reasons[reason].name for body in bodies if reason in body.reasons), {})
        return AlertRecord(
            uuid4().hex, item.key, item.since_ns, now_ns, owner=item.owner, lines=item.lines, detail=detail
        )

    def _tell(self, now_ns: int) -> None:
        owed = [
            message
            for alert in open_alerts(self._engine)
            for message in self._telling.owed(alert, self._zone(alert.key.site), now_ns)
        ]
        alert_messages.enqueue(self._engine, owed, now_ns)

    def _zone(self, site: str) -> tzinfo:
        return zone_of_site(self._center, site)

    def _forget(self, now_ns: int) -> None:
        """Once a day."""
        if now_ns - self._forgotten_ns >= _DAY_NS:
            forget_alerts(self._engine, now_ns - _KEEP_NS)
            self._forgotten_ns = now_ns

    def _unknown_sites(self) -> str:
        unknown = sorted(self._telling.sites_named() - {*self._center.ledger_cache.sites.ids()})
        return f"alerts: no site {', '.join(unknown)} has sent anything yet" if unknown else ""


def zone_of_site(center: CenterState, site: str) -> tzinfo:
    """The zone of a site; of "" that of the center; UTC where it is not known."""
    if not site:
        return center.zone
    try:
        return zone_of(center, EVERYTHING, site)
    except UnknownSite:
        return UTC
