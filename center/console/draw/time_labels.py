"""Short forms of times for axes and labels, in the site's zone. Pure."""

from datetime import date, datetime, timedelta, tzinfo

from words import say


def parse(text: str) -> datetime:
    """A time as answers contain it."""
    return datetime.fromisoformat(text)


def parse_ns(text: str) -> int:
    """A time as answers contain it, in ns UTC."""
    moment = parse(text)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def local(t_ns: int, zone: tzinfo) -> datetime:
    """Local time, to the second."""
    return datetime.fromtimestamp(t_ns // 1_000_000_000, zone)


def day(when: date, lang: str) -> str:
    """21/09 or 09-21."""
    return f"{when:%d/%m}" if lang == "vi" else f"{when:%m-%d}"


def weekday(when: date, lang: str) -> str:
    """The weekday in two or three letters, and the day."""
    return f"{say(f'console.weekday.{when.weekday()}', lang)} {day(when, lang)}"


def bucket(start: str, size: str, shift: str, lang: str) -> tuple[str, str]:
    """A bucket's label on an axis, and its full name."""
    begin = parse(start)
    if size == "hour":
        until = begin + timedelta(hours=1)
        return f"{begin:%H:%M}", f"{weekday(begin, lang)}, {begin:%H:%M}–{until:%H:%M}"
    if size == "shift":
        name = say("console.shift", lang, name=shift)
        return f"{day(begin, lang)} {shift}", f"{weekday(begin, lang)}, {name}"
    if size == "week":
        week = say("console.week", lang, number=begin.isocalendar().week)
        last = begin + timedelta(days=6)
        return week, f"{week}: {day(begin, lang)}–{day(last, lang)}"
    return day(begin, lang), weekday(begin, lang)
