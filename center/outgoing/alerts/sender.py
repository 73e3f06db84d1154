"""Background job that sends what people are owed about alerts, each recipient on a thread of its own."""

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database import alert_messages
from center.database.alert_messages import OutletRecord
from center.database.alerts import alerts_by_id
from center.model.alerts.alert import AlertRecord
from center.model.alerts.owed import Outlet, Owed, Telling
from center.outgoing.alerts.channels import NotTold, Post, why_text
from center.outgoing.alerts.job import LEASE, zone_of_site
from center.outgoing.alerts.texts import AlertText, Told, message
from center.runtime.background import BackgroundJob
from center.runtime.state import CenterState
from config.alerts import AlertsModel
from config.mail import MailModel

CONDITION: Final = "alert_channels"
"""The center's condition that says whether every channel takes its messages."""
_IDLE_S: Final = 2.0
_DEADLINE_NS: Final = 30_000_000_000
_FIRST_S: Final = 15
_LONGEST_S: Final = 900
_S_NS: Final = 1_000_000_000
_MOST: Final = 20
"""Alerts in one message."""
_log = logging.getLogger("nhip.center")


@dataclass(frozen=True)
class _Try:
    """A message on its way. site: that it is about; at_ns: when it was handed over."""

    messages: Sequence[Owed]
    alerts: Mapping[str, AlertRecord]
    at_ns: int
    result: "Future[None]"


def after_try(outlet: OutletRecord, now_ns: int, why: str = "") -> OutletRecord:
    """How a recipient fares after a try. why: "" if it has the message; otherwise it is tried later and later."""
    if not why:
        return OutletRecord(outlet.name, sent_ns=now_ns)
    wait_s = min(_FIRST_S * 2 ** min(outlet.tries, 10), _LONGEST_S)
    since_ns = outlet.since_ns or now_ns
    return replace(outlet, tries=outlet.tries + 1, next_ns=now_ns + wait_s * _S_NS, since_ns=since_ns, why=why)


class AlertSender(BackgroundJob):
    """A recipient that does not answer delays no other. Of one whose time is up nothing is sent again before the outcome is
    known: it may have the message. Stopped, it waits a moment for what is on its way.
    """

    def __init__(
        self,
        center: CenterState,
        engine: Engine,
        settings: AlertsModel,
        mail: MailModel | None,
        idle_s: float = _IDLE_S,
    ) -> None:
        super().__init__(center, CONDITION, "alert_errors", idle_s)
        self._engine, self._telling, self._post = engine, Telling(settings), Post(settings.channels, mail)
        console = settings.console or (mail.console if mail else "")
        self._link = f"{console.rstrip('/')}/alerts" if console else ""
        self._outlets = {outlet.name: outlet for outlet in self._telling.outlets}
        self._tries: dict[str, _Try] = {}

    def stop(self, within_s: float = 10.0) -> None:
        """Ends after the present step, and notes what has gone out by then."""
        super().stop(within_s)
        wait([item.result for item in self._tries.values()], within_s)
        with suppress(StoreUnavailable):  # then they go out again
            self._note_results()

    def _step(self) -> tuple[str | None, float]:
        self._note_results()
        if not self._has_lease(LEASE):
            return None, self._idle_s
        now_ns = self._center.now_ns()
        known = alert_messages.outlets(self._engine)
        due: dict[str, list[Owed]] = {}
        for item in alert_messages.waiting(self._engine, now_ns):
            due.setdefault(item.owed.outlet, []).append(item.owed)
        for name, messages in due.items():
            if name not in self._outlets:
                alert_messages.drop(self._engine, messages, now_ns)  # the file names it no more
            elif name not in self._tries and known.get(name, OutletRecord(name)).next_ns <= now_ns:
                self._begin(self._outlets[name], messages, known.get(name, OutletRecord(name)), now_ns)
        self._note_overdue(known, now_ns)
        return self._told(alert_messages.outlets(self._engine)), self._idle_s

    def _begin(self, outlet: Outlet, messages: Sequence[Owed], before: OutletRecord, now_ns: int) -> None:
        """Hands messages over. What cannot even be written holds up nobody else; counted and shown."""
        try:
            self._hand_over(outlet, messages, now_ns)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001
            self._center.health.count("alert_errors")
            why = NotTold("alert.said", detail=f"{type(error).__name__}: {error}"[:300]).why
            alert_messages.save_outlet(self._engine, after_try(before, now_ns, why))

    def _hand_over(self, outlet: Outlet, messages: Sequence[Owed], now_ns: int) -> None:
        """Begins to send what one recipient is owed about one site."""
        alerts = alerts_by_id(self._engine, [item.alert for item in messages])
        known = [item for item in messages if item.alert in alerts]
        if not known:
            alert_messages.drop(self._engine, messages, now_ns)
            return
        site = alerts[known[0].alert].key.site
        chosen = [item for item in known if alerts[item.alert].key.site == site][:_MOST]
        told = [Told(alerts[item.alert], item.step) for item in chosen]
        zone = zone_of_site(self._center, site)
        text = message(told, self._post.language(outlet), zone, now_ns, self._link)
        key = "/".join((outlet.name, *(f"{item.alert}.{item.step}" for item in chosen)))
        result: Future[None] = Future()
        self._tries[outlet.name] = _Try(chosen, alerts, now_ns, result)
        work = (self._post, outlet, text, key, now_ns, result)
        threading.Thread(target=_send, args=work, name=f"nhip-alert-{outlet.channel}", daemon=True).start()

    def _note_results(self) -> None:
        """Stores what became of the messages that were on their way."""
        for name, item in [(name, item) for name, item in self._tries.items() if item.result.done()]:
            now_ns = self._center.now_ns()
            before = alert_messages.outlets(self._engine).get(name, OutletRecord(name))
            error = item.result.exception()
            if error is None:
                due = self._due_of(now_ns)
                alert_messages.mark_sent(self._engine, item.messages, now_ns, due, item.alerts)
                self._center.health.count("alert_messages", len(item.messages))
                after = after_try(before, now_ns)
            else:
                self._center.health.count("alert_messages_failed")
                why = error.why if isinstance(error, NotTold) else NotTold("alert.said", detail=repr(error)[:300]).why
                after = after_try(before, now_ns, why)
            del self._tries[name]
            alert_messages.save_outlet(self._engine, after)
            if after.works != before.works:
                level = logging.INFO if after.works else logging.WARNING
                _log.log(level, "alert channel %s: %s", name, why_text(after.why, "en") or "works again")

    def _due_of(self, now_ns: int) -> alert_messages.DueOf:
        return lambda alert, outlet: self._telling.end_due_ns(
            alert, outlet, zone_of_site(self._center, alert.key.site), now_ns
        )

    def _note_overdue(self, known: Mapping[str, OutletRecord], now_ns: int) -> None:
        """A recipient that has not answered in time is shown as broken, once."""
        for name, item in self._tries.items():
            before = known.get(name, OutletRecord(name))
            if now_ns - item.at_ns >= _DEADLINE_NS and before.works:
                self._center.health.count("alert_messages_late")
                why = NotTold("alert.no_answer", length=f"{_DEADLINE_NS // _S_NS} s").why
                alert_messages.save_outlet(self._engine, after_try(before, now_ns, why))

    def _told(self, known: Mapping[str, OutletRecord]) -> str:
        broken = [f"{name}: {why_text(item.why, 'en')}" for name, item in sorted(known.items()) if not item.works]
        here = [text for text in broken if text.partition(": ")[0] in self._outlets]
        return "; ".join(here)[:300] or "ok"


def _send(post: Post, outlet: Outlet, text: AlertText, key: str, now_ns: int, result: "Future[None]") -> None:
    try:
        post.tell(outlet, text, key, now_ns)
    except BaseException as error:  # noqa: BLE001  # noted where results are
        result.set_exception(error)
    else:
        result.set_result(None)
