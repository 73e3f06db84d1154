"""A report as a mail."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

from center.outgoing.mail import MailHead, mail_of
from center.outgoing.reports.html import mail_html, mail_text
from center.outgoing.reports.sheet import ReportSheet


@dataclass(frozen=True)
class MailParts:
    """What a mail holds besides the sheet. link: address of the report's page; file: name of the PDF; made: when; key: as of
    `MailHead`.
    """

    recipient: str
    sender: str
    link: str
    pdf: bytes
    file: str
    made: datetime
    key: str


def message_of(sheet: ReportSheet, parts: MailParts) -> EmailMessage:
    """The mail: text, HTML, and the PDF."""
    head = MailHead(sheet.title, parts.recipient, parts.sender, parts.made, sheet.lang, parts.key)
    message = mail_of(head, mail_text(sheet, parts.link))
    message.add_alternative(mail_html(sheet, parts.link), subtype="html")
    message.add_attachment(parts.pdf, maintype="application", subtype="pdf", filename=parts.file)
    return message
