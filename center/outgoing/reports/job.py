"""Background job that sends the reports of ended shifts and days by mail."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Engine

from center.console.draw.names import report_page
from center.contract.store import StoreUnavailable
from center.database import report_mails
from center.database.report_mails import GIVEN_UP, REFUSED, SENT, ReportMail
from center.model.times import BadQuestion
from center.model.viewer import EVERYTHING
from center.outgoing.apart import NoPdf
from center.outgoing.mail import MailNotTaken, MailRefused, NoMailServer, send
from center.outgoing.reports.api import file_name, pdf_of
from center.outgoing.reports.asked import ReportQuestion, report
from center.outgoing.reports.due import after_failure, due_mails, subscriptions
from center.outgoing.reports.letter import MailParts, message_of
from center.outgoing.reports.sheet import sheet
from center.queries.question import UnknownSite
from center.runtime.background import BackgroundJob
from center.runtime.state import CenterState
from config.mail import MailModel, ReportMailModel

CONDITION: Final = "mail"
"""The center's condition that says whether mails go out."""
_IDLE_S: Final = 15.0
_log = logging.getLogger("nhip.center")


class ReportMailJob(BackgroundJob):
    """What is due is written down first, so that it is sent once and also after a time without a center. Stopped, it ends
    after the mail that is being sent.
    """

    def __init__(
        self, center: CenterState, engine: Engine, mail: MailModel, reports: tuple[ReportMailModel, ...],
        idle_s: float = _IDLE_S,
    ) -> None:  # fmt: skip
        super().__init__(center, CONDITION, "mail_errors", idle_s)
        self._engine, self._mail, self._reports = engine, mail, reports
        self._closed_until_ns, self._closed_why = 0, ""

    def start(self) -> None:
        """Starts the thread if there is something to send; returns at once."""
        if self._reports:
            super().start()

    def _step(self) -> tuple[str | None, float]:
        if not self._has_lease("reports"):
            return None, self._idle_s
        unknown = self._note_due()
        failed = self._send_waiting()
        return failed or unknown or "ok", self._idle_s

    def _note_due(self) -> str:
        """Writes down which mails are due; returns what cannot be reported, "" if nothing."""
        unknown = []
        wanted = [to for model in self._reports for to in subscriptions(model)]
        since_ns = report_mails.since_of(self._engine, wanted, self._center.now_ns())
        for model in self._reports:
            try:
                report_mails.enqueue(self._engine, due_mails(self._center, model, since_ns))
            except UnknownSite as error:
                unknown.append(str(error))
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001  # one site holds up no other; counted and shown
                self._center.health.count("mail_errors")
                unknown.append(f"{model.site}: {type(error).__name__}: {error}"[:300])
        return "; ".join(dict.fromkeys(unknown))

    def _send_waiting(self) -> str:
        """Sends what may be tried now; returns why the first one that waits is not sent, "" if none waits.

        While there is no mail server the others are not tried one by one: each may take half a minute to fail.
        """
        failed = ""
        for mail in report_mails.waiting(self._engine):
            now_ns = self._center.now_ns()
            if self._stopping.is_set() or now_ns < self._closed_until_ns:
                return failed or self._closed_why
            after = self._tried(mail) if mail.next_ns <= now_ns else mail
            if after is not mail:
                report_mails.save(self._engine, after)
                _tell(after)
            failed = failed or ("" if after.state == SENT else after.why)
        return failed

    def _tried(self, mail: ReportMail) -> ReportMail:
        """The mail after an attempt to send it, whatever became of that."""
        now_ns = self._center.now_ns()
        model = next((item for item in self._reports if mail.to in subscriptions(item)), None)
        if model is None:
            return replace(mail, state=GIVEN_UP, at_ns=now_ns, why="the center's file no longer names this report")
        try:
            self._send(mail, model)
        except StoreUnavailable:
            raise
        except MailRefused as error:
            return replace(mail, state=REFUSED, tries=mail.tries + 1, at_ns=now_ns, why=str(error))
        except (MailNotTaken, NoPdf, UnknownSite, BadQuestion) as error:
            failed = after_failure(mail, str(error), now_ns, model.give_up)
            if isinstance(error, NoMailServer):
                self._closed_until_ns, self._closed_why = failed.next_ns, failed.why
            return failed
        except Exception as error:  # noqa: BLE001  # one report that cannot be made holds up no other; counted and shown
            self._center.health.count("mail_errors")
            return after_failure(mail, f"{type(error).__name__}: {error}"[:300], now_ns, model.give_up)
        self._center.health.count("report_mails")
        return replace(mail, state=SENT, at_ns=now_ns, why="")

    def _send(self, mail: ReportMail, model: ReportMailModel) -> None:
        """Makes the report and hands it to the server."""
        center, site = self._center, mail.to.site
        question = ReportQuestion(EVERYTHING, site, mail.day, mail.shift, mail.to.line)
        answer = report(center, question)
        query = urlencode({"date": answer["date"], "shift": answer["shift"], "line": answer["line"]})
        parts = MailParts(
            recipient=mail.to.recipient,
            sender=self._mail.sender,
            link=f"{self._mail.console.rstrip('/')}{report_page(site)}?{query}" if self._mail.console else "",
            pdf=pdf_of(center, question, answer, model.language),
            file=file_name(answer),
            made=datetime.fromtimestamp(center.now_ns() // 1_000_000_000, UTC),
            key="/".join((*vars(mail.to).values(), answer["date"], mail.shift)),
        )
        send(self._mail, message_of(sheet(answer, model.language), parts))


def _tell(mail: ReportMail) -> None:
    """A line in the log: of mails that were sent, and of the first failure and the last one."""
    to = mail.to
    about = f"site={to.site} line={to.line} day={mail.day} shift={mail.shift}"
    if mail.state == SENT:
        _log.info("report mail sent %s tries=%d", about, mail.tries + 1)
    elif mail.state in (REFUSED, GIVEN_UP) or mail.tries == 1:
        _log.warning("report mail not sent %s state=%s why=%r", about, mail.state, mail.why)
