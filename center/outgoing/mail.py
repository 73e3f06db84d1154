"""Mails, and the server that takes them."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

from config.mail import MailModel

_TIMEOUT_S = 30.0
_PERMANENT = range(500, 600)


class MailRefused(Exception):
    """The server will never take this mail for this recipient; the text is what it said."""


class MailNotTaken(Exception):
    """The server does not take this mail now; the text is what it said."""


class NoMailServer(MailNotTaken):
    """It takes no mail at all now: it is away, or refuses the login, the sender or the certificate."""


@dataclass(frozen=True)
class MailHead:
    """What every mail says. subject: in one line; made: when; lang: its language; key: names this mail for ever, so that one
    that is sent twice has one Message-ID, by which mail programs show it once.
    """

    subject: str
    recipient: str
    sender: str
    made: datetime
    lang: str
    key: str


def mail_of(head: MailHead, text: str) -> EmailMessage:
    """A mail with a plain text, to which other parts may be added."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = " ".join(head.subject.split())  # a name with a line break would end the header
    message["From"] = Address("Nhịp", addr_spec=head.sender)
    message["To"] = head.recipient
    message["Date"] = format_datetime(head.made)
    domain = head.sender.rpartition("@")[2]
    message["Message-ID"] = f"<{sha256(head.key.encode()).hexdigest()[:32]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message["Content-Language"] = head.lang  # `set_content` removes what was said of an earlier content
    return message


def send(settings: MailModel, message: EmailMessage) -> None:
    """Hands one mail to the server, which has it when this returns. Raises `MailRefused`, `MailNotTaken` or `NoMailServer`."""
    try:
        with _connected(settings) as server:
            _hand_over(server, message)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        _refuse(code, said)
    except smtplib.SMTPDataError as error:
        _refuse(error.smtp_code, error.smtp_error)
    except smtplib.SMTPResponseException as error:  # greeting, login, sender: of the account, not of this mail
        raise NoMailServer(_text(error.smtp_code, error.smtp_error)) from error
    except (smtplib.SMTPException, OSError, UnicodeError) as error:  # ssl.SSLError is an OSError
        raise NoMailServer(f"{settings.server}: {error or type(error).__name__}"[:300]) from error


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
    """An address that this server cannot write says nothing about other mails."""
    try:
        server.send_message(message)
    except (smtplib.SMTPNotSupportedError, UnicodeError) as error:
        raise MailRefused(f"{message['To']}: {error}"[:300]) from error


def _refuse(code: int, said: bytes | str) -> None:
    raise (MailRefused if code in _PERMANENT else MailNotTaken)(_text(code, said))


def _text(code: int, said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}"[:300]


@contextmanager
def _connected(settings: MailModel) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=_TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(settings.host, settings.port, timeout=_TIMEOUT_S)
    with server:
        if settings.security == "starttls":
            server.starttls(context=context)
        if settings.username:
            server.login(settings.username, Path(settings.password_file).read_text(encoding="utf-8").strip())
        yield server
