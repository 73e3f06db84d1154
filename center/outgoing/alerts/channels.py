"""Hands a message to one recipient: by mail through the center's server, or to a service by Apprise. Blocks: for a thread.

Apprise is loaded with the first message to a service: it knows 130 of them, which costs 40 MB and a second.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from center.model.alerts.owed import Outlet
from center.outgoing.alerts.texts import AlertText
from center.outgoing.mail import MailHead, MailNotTaken, MailRefused, mail_of, send
from config.alerts import ChannelModel
from config.mail import MailModel
from words import say

_LONGEST: Final = 300
_SHORTEST_SECRET: Final = 6


class NotTold(Exception):
    """A recipient could not be told. key: of the sentence that says why; values: its placeholders."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key} {values}")
        self.why = json.dumps(
            {"key": key, "values": {name: str(text) for name, text in values.items()}}, ensure_ascii=False
        )


def why_text(why: str, lang: str) -> str:
    """The reason as `NotTold` packs it, in a language; "" for none."""
    if not why:
        return ""
    told = json.loads(why)
    return say(told["key"], lang, **told["values"])


@dataclass(frozen=True)
class Post:
    """All channels of a center. mail: its server, None without one."""

    channels: Mapping[str, ChannelModel]
    mail: MailModel | None

    def language(self, outlet: Outlet) -> str:
        """The language of an outlet's messages."""
        return self.channels[outlet.channel].language

    def tell(self, outlet: Outlet, text: AlertText, key: str, now_ns: int) -> None:
        """Returns once the mail server or the service has the message. key: names it for ever. Raises `NotTold`."""
        channel = self.channels[outlet.channel]
        if outlet.address and self.mail:
            _mail(self.mail, outlet.address, text, channel.language, key, now_ns)
        else:
            _notify(Path(channel.address_file), text)


def _mail(server: MailModel, address: str, text: AlertText, lang: str, key: str, now_ns: int) -> None:
    made = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    head = MailHead(text.title, address, server.sender, made, lang, key)
    try:
        send(server, mail_of(head, f"{text.title}\n\n{text.body}\n"))
    except (MailRefused, MailNotTaken) as error:
        raise NotTold("alert.said", detail=error) from error


@cache
def _library() -> Any:
    """Apprise, loaded with the first message. Its log may hold secrets; what matters of it is shown."""
    import apprise  # noqa: PLC0415  # 130 plug-ins

    log = logging.getLogger("apprise")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    return apprise


def _notify(file: Path, text: AlertText) -> None:
    apprise, address = _library(), _address(file)
    asset = apprise.AppriseAsset(app_id="Nhip", storage_mode=apprise.PersistentStoreMode.MEMORY)
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        raise NotTold("alert.bad_address", file=file)
    if len(service) > 1:  # one of them failing would be told to the others again
        raise NotTold("alert.several_targets", file=file)
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    result = sender.notify(
        body=text.body or text.title,
        title=text.title if text.body else "",
        notify_type=apprise.NotifyType.WARNING,
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not result:
        said = " ".join(entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR", "CRITICAL"))
        said = _without_secrets(" ".join(said.split()), address)[:_LONGEST]
        raise NotTold("alert.said", detail=said) if said else NotTold("alert.refused")


def _address(file: Path) -> str:
    try:
        written = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        detail: Any = getattr(error, "strerror", None) or type(error).__name__
        raise NotTold("alert.no_file", file=file, detail=detail) from error
    lines = [line.strip() for line in written if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        raise NotTold("alert.bad_address", file=file)
    return lines[0]


def _without_secrets(said: str, address: str) -> str:
    """What a service said, without the parts of its address, the host excepted, that may be secrets."""
    _, _, rest = address.partition("://")
    host = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0]
    for part in sorted({*re.split(r"[/?&=:@,]", rest)} - {host, host.partition(":")[0]}, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            said = said.replace(part, "…")
    return said
