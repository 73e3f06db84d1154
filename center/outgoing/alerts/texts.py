"""Alerts as sentences: for messages, pages and the API. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, NamedTuple

from center.console.draw.names import named
from center.model.alerts.alert import AlertRecord
from center.model.alerts.owed import Step
from words import duration, moment, number, percent, say
from words.catalogue import catalogue

_MS_NS: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_SHIFT: Final = ("oee", "pieces", "coverage")


class AlertText(NamedTuple):
    """A message. title: one line; body: the rest."""

    title: str
    body: str


class Told(NamedTuple):
    """What is told now of an alert."""

    alert: AlertRecord
    step: Step


def sentence(alert: AlertRecord, lang: str, now_ns: int) -> str:
    """What is wrong, in one line; of one that has ended, what was."""
    kind, values = _key(alert), _values(alert, lang, (alert.ended_ns or now_ns) - alert.since_ns)
    if kind == "oee" and alert.detail.get("oee") is None:
        return say("alert.oee.at_most", lang, **values | {"oee": percent(alert.detail.get("at_most"), lang)})
    return say(f"alert.{kind}", lang, **values)


def over(alert: AlertRecord, lang: str) -> str:
    """That it is over, in one line."""
    if alert.key.kind in _SHIFT:
        return say("alert.over.shift", lang, what=sentence(alert, lang, alert.ended_ns))
    return say(f"alert.over.{_key(alert)}", lang, **_values(alert, lang, alert.ended_ns - alert.since_ns))


def message(told: Sequence[Told], lang: str, zone: tzinfo, now_ns: int, link: str = "") -> AlertText:
    """What one recipient is told now of one site. link: address of the page, "" for none."""
    lines = [_line(item, lang, now_ns) for item in told]
    site = named(told[0].alert.detail.get("site", {}), lang, told[0].alert.key.site)
    title = lines[0] if len(told) == 1 else say("alert.several", lang, n=len(told))
    title = say("alert.at_site", lang, what=title, site=site) if site else title
    asks = any(item.step != "ended" for item in told)
    if len(told) == 1:
        body = " ".join(_more(told[0].alert, lang, zone))
    else:
        body = "\n".join(
            f"• {' '.join((f'{line}.', *_more(item.alert, lang, zone)))}"
            for line, item in zip(lines, told, strict=True)
        )
    return AlertText(
        title, "\n".join(part for part in (body, say("alert.link", lang, link=link) if link and asks else "") if part)
    )


def _line(item: Told, lang: str, now_ns: int) -> str:
    if item.step == "ended":
        return over(item.alert, lang)
    what = sentence(item.alert, lang, now_ns)
    return say("alert.escalated", lang, what=what) if item.step == "escalated" else what


def _more(alert: AlertRecord, lang: str, zone: tzinfo) -> list[str]:
    """What else is known."""
    when = datetime.fromtimestamp(alert.since_ns // _S_NS, UTC).astimezone(zone)
    out = [say("alert.since", lang, when=moment(when, lang))]
    detail = alert.detail
    if alert.key.kind == "stop":
        state = say(f"state.{detail['state']}", lang)
        reason = named(detail.get("reason_name") or {}, lang, detail.get("reason", ""))
        key = "alert.state" if reason else "alert.state.no_reason"
        out.append(say(key, lang, state=state, reason=reason) if reason else say(key, lang, state=state))
    if alert.key.kind == "call" and detail.get("by"):
        out.append(say("alert.called_by", lang, by=detail["by"]))
    if alert.key.kind == "center" and detail.get("why"):
        out.append(str(detail["why"]))
    return out


def _key(alert: AlertRecord) -> str:
    return f"{alert.key.kind}.gateway" if alert.key.gateway else alert.key.kind


def _values(alert: AlertRecord, lang: str, length_ns: int) -> dict[str, Any]:
    detail: Mapping[str, Any] = alert.detail
    return {
        "machine": named(detail.get("machine", {}), lang, alert.key.machine),
        "gateway": alert.key.gateway,
        "length": duration(max(length_ns, 0) / _MS_NS, lang),
        "n": number(detail.get("machines"), lang),
        "oee": percent(detail.get("oee"), lang),
        "target": percent(detail.get("target"), lang),
        "coverage": percent(detail.get("coverage"), lang),
        "shift": detail.get("shift", ""),
        "missing": number(detail.get("missing"), lang),
        "made": number(detail.get("made"), lang),
        "due": number(detail.get("due"), lang),
        "call": _call(detail, lang),
    }


def _call(detail: Mapping[str, Any], lang: str) -> str:
    kind = str(detail.get("call", ""))
    key = f"andon.call.{kind}"
    return say(key, lang).lower() if key in catalogue() else kind
