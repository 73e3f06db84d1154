"""A test message through every channel, for `nhip alerts test`."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

from center.model.alerts.owed import Outlet, Telling
from center.outgoing.alerts.channels import NotTold, Post, why_text
from center.outgoing.alerts.texts import AlertText
from config import CenterFile
from words import say

_DEADLINE_S = 30.0


def try_channels(settings: CenterFile, channel: str, lang: str) -> Iterator[tuple[str, str]]:
    """By recipient why it was not told, "" where it was, as soon as that is known. channel: only this one, "" for all; lang:
    of the reasons.
    """
    if settings.alerts is None:
        return
    post, now_ns = Post(settings.alerts.channels, settings.mail), time.time_ns()
    for outlet in Telling(settings.alerts).outlets:
        if channel in ("", outlet.channel):
            spoken = post.language(outlet)
            body = say("alert.test.body", spoken, channel=outlet.channel, center=settings.name or "Nhịp")
            text = AlertText(say("alert.test", spoken), body)
            yield outlet.name, why_text(_tried(post, outlet, text, now_ns), lang)


def _tried(post: Post, outlet: Outlet, text: AlertText, now_ns: int) -> str:
    result: Future[str] = Future()

    def work() -> None:
        try:
            post.tell(outlet, text, f"test/{outlet.name}/{now_ns}", now_ns)
        except NotTold as error:
            result.set_result(error.why)
        except BaseException as error:  # noqa: BLE001  # raised where it is awaited
            result.set_exception(error)
        else:
            result.set_result("")

    threading.Thread(target=work, daemon=True).start()
    try:
        return result.result(_DEADLINE_S)
    except TimeoutError:
        return NotTold("alert.no_answer", length=f"{_DEADLINE_S:.0f} s").why
