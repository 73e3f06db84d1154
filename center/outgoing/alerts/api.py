"""HTTP for alerts: open ones and those of the past; somebody takes one on; how the channels fare."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request
from prometheus_client.core import Metric
from pydantic import Field
from sqlalchemy import Connection, Engine
from typing_extensions import TypedDict

from center.api.access import Aiming, Viewing, Writing, address_of
from center.api.parameters import V1, AnySite
from center.api.problems import PROBLEMS, problem
from center.contract.store import StoreUnavailable
from center.database import alert_messages
from center.database.alert_messages import SENT, WAITING
from center.database.alerts import acknowledge_alert, alerts_by_id, open_alerts, past_alerts, prepare_alerts
from center.model.alerts.alert import AlertRecord
from center.model.alerts.owed import Telling
from center.model.times import iso
from center.model.viewer import EVERYTHING, Viewer
from center.outgoing.alerts.channels import why_text
from center.outgoing.alerts.job import zone_of_site
from center.outgoing.alerts.texts import sentence
from center.queries.question import sites_of
from center.runtime.state import CenterState
from config.alerts import AlertsModel
from wire.prometheus import by_label, labelled
from words import LANGUAGES

RecordTaken = Callable[[Connection, str, str, AlertRecord], None]
"""Enters an acknowledgement into the audit trail in its own transaction: who, from which address, and the alert."""


class AlertAnswer(TypedDict):
    """An alert. machine, gateway: what it is about; site: empty for the center itself."""

    id: str
    site: str
    kind: Annotated[str, Field(description="center, call, no_data, stop, oee, pieces or coverage.")]
    machine: str
    gateway: str
    text: Annotated[dict[str, str], Field(description="One sentence in each language.")]
    since: Annotated[str, Field(description="Since when it is so.")]
    begun: Annotated[str, Field(description="Since when it is an alert.")]
    ended: str | None
    over: Annotated[bool, Field(description="It ended because it was over, and not with the shift or the machine.")]
    acknowledged: str | None
    by: Annotated[str, Field(description="Who took it on.")]
    told: Annotated[int, Field(description="Recipients that have been told.")]
    waiting: Annotated[int, Field(description="Messages that have not gone out yet.")]
    detail: dict[str, Any]


class AlertListAnswer(TypedDict):
    """Alerts, the latest first."""

    rows: list[AlertAnswer]


class OutletAnswer(TypedDict):
    """A recipient of a channel."""

    outlet: str
    works: Annotated[bool | None, Field(description="Whether the last try was no failure; null before the first.")]
    sent: Annotated[str | None, Field(description="When it was told last.")]
    failing: Annotated[str | None, Field(description="Since when it fails.")]
    tries: int
    why: Annotated[dict[str, str], Field(description="What is wrong, by language.")]


@dataclass(frozen=True)
class AlertDesk:
    """Alerts as people see them. The console finds it in the application's state."""

    center: CenterState
    engine: Engine
    settings: AlertsModel
    record: RecordTaken

    def open(self, viewer: Viewer, site: str = "") -> list[AlertAnswer]:
        """Open alerts. Raises `UnknownSite` or `StoreUnavailable`."""
        return self._answers(open_alerts(self.engine, self._sites(viewer, site)))

    def past(self, viewer: Viewer, site: str = "", limit: int = 50) -> list[AlertAnswer]:
        """Alerts that have ended. Raises `UnknownSite` or `StoreUnavailable`."""
        return self._answers(past_alerts(self.engine, self._sites(viewer, site), limit))

    def acknowledge(self, viewer: Viewer, address: str, number: str) -> AlertAnswer | None:
        """The viewer takes an alert on; None where they see no such open one. Raises `StoreUnavailable`."""
        found = alerts_by_id(self.engine, [number]).get(number)
        if found is None or not _sees(viewer, found):
            return None

        def write(connection: Connection, alert: AlertRecord) -> None:
            self.record(connection, viewer.name, address, alert)

        alert = acknowledge_alert(self.engine, number, viewer.name, self.center.now_ns(), write)
        return self._answers([alert])[0] if alert else None

    def outlets(self, viewer: Viewer) -> list[OutletAnswer]:
        """How the recipients fare that are told of the viewer's sites. Raises `StoreUnavailable`."""
        telling, known = Telling(self.settings), alert_messages.outlets(self.engine)
        sites = viewer.seen(self.center.ledger_cache.sites.ids())
        out: list[OutletAnswer] = []
        for outlet in telling.outlets:
            if viewer.sites is not None and not telling.sees_outlet(outlet.name, sites):
                continue
            record = known.get(outlet.name)
            zone = self.center.zone
            out.append(
                {
                    "outlet": outlet.name,
                    "works": record.works if record else None,
                    "sent": iso(record.sent_ns, zone) if record and record.sent_ns else None,
                    "failing": iso(record.since_ns, zone) if record and record.since_ns else None,
                    "tries": record.tries if record else 0,
                    "why": {lang: why_text(record.why if record else "", lang) for lang in LANGUAGES},
                }
            )
        return out

    def metrics(self) -> list[Metric]:
        """Open alerts by site and kind, and whether each recipient takes its messages; nothing while the database is away."""
        try:
            found, outlets = open_alerts(self.engine), self.outlets(EVERYTHING)
        except StoreUnavailable:
            return []
        count = Counter((alert.key.site, alert.key.kind) for alert in found)
        samples = [({"site": site, "kind": kind}, float(number)) for (site, kind), number in sorted(count.items())]
        works = {row["outlet"]: float(row["works"]) for row in outlets if row["works"] is not None}
        return [
            labelled("nhip_center_alerts_open", "gauge", "Open alerts.", samples),
            by_label("nhip_center_alert_channel_up", "gauge", "1 while the recipient takes messages.", "outlet", works),
        ]

    def _sites(self, viewer: Viewer, site: str) -> Sequence[str] | None:
        """None: all, and the center itself."""
        if not site and viewer.sites is None:
            return None
        return sites_of(self.center, viewer, site)

    def _answers(self, alerts: Iterable[AlertRecord]) -> list[AlertAnswer]:
        found = list(alerts)
        told, now_ns = alert_messages.told_of(self.engine, [alert.id for alert in found]), self.center.now_ns()
        return [_answer(self.center, alert, told.get(alert.id, ()), now_ns) for alert in found]


def _sees(viewer: Viewer, alert: AlertRecord) -> bool:
    return viewer.sees(alert.key.site) if alert.key.site else viewer.sites is None


def _answer(center: CenterState, alert: AlertRecord, messages: Iterable[Any], now_ns: int) -> AlertAnswer:
    zone = zone_of_site(center, alert.key.site)
    states = [(item.outlet, state) for item, state, _ in messages]
    return {
        "id": alert.id,
        "site": alert.key.site,
        "kind": alert.key.kind,
        "machine": alert.key.machine,
        "gateway": alert.key.gateway,
        "text": {lang: sentence(alert, lang, now_ns) for lang in LANGUAGES},
        "since": iso(alert.since_ns, zone),
        "begun": iso(alert.begun_ns, zone),
        "ended": iso(alert.ended_ns, zone) if alert.ended_ns else None,
        "over": alert.why == "over",
        "acknowledged": iso(alert.acknowledged_ns, zone) if alert.acknowledged_ns else None,
        "by": alert.by,
        "told": len({outlet for outlet, state in states if state == SENT}),
        "waiting": sum(state == WAITING for _, state in states),
        "detail": dict(alert.detail),
    }


def add_alerts(app: FastAPI, center: CenterState, engine: Engine, settings: AlertsModel, record: RecordTaken) -> None:
    """The routes."""
    prepare_alerts(engine)
    desk = app.state.alerts = AlertDesk(center, engine, settings, record)
    getattr(app.state, "more_metrics", []).append(desk.metrics)  # none in an application without metrics

    @app.get(f"{V1}/alerts", responses=PROBLEMS)
    def alerts(
        viewer: Viewing,
        site: AnySite = "",
        state: Annotated[Literal["open", "past"], Query(description="open, or those that have ended.")] = "open",
        limit: Annotated[int, Query(ge=1, le=1000, description="Of those that have ended at most so many.")] = 100,
    ) -> AlertListAnswer:
        """Alerts of the viewer's sites."""
        return {"rows": desk.open(viewer, site) if state == "open" else desk.past(viewer, site, limit)}

    @app.post(f"{V1}/alerts/{{number}}/acknowledge", responses=PROBLEMS, response_model=AlertAnswer)
    def acknowledge(
        viewer: Writing, request: Request, number: Annotated[str, Path(max_length=64, description="Id of the alert.")]
    ) -> Any:
        """Takes an open alert on: it goes to nobody further. Whoever was first stays."""
        answer = desk.acknowledge(viewer, address_of(request), number)
        return answer or problem(404, "unknown", "there is no such open alert; GET /api/v1/alerts lists those that are")

    @app.get(f"{V1}/alert-channels", responses=PROBLEMS)
    def channels(viewer: Aiming) -> list[OutletAnswer]:
        """How the recipients of alerts fare: administrators and engineers of the center see those of their sites."""
        return desk.outlets(viewer)
