"""Times as people type and read them at a terminal."""

from datetime import UTC, datetime, time, timedelta, tzinfo

from words import moment


def parse_time(text: str, zone: tzinfo) -> datetime:
    """A date or a date and time (ISO 8601), in `zone` where it names no offset. ValueError if it is neither."""
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=zone)


def parse_past_time(text: str, zone: tzinfo, now: datetime) -> datetime:
    """As `parse_time`; a time of day alone (`8:10`) is the last one before `now`. ValueError if it is neither."""
    if len(text) > 5 or ":" not in text:
        return parse_time(text, zone)
    today = now.astimezone(zone).date()
    when = datetime.combine(today, time.fromisoformat(text.zfill(5)), zone)
    return when if when <= now else when - timedelta(days=1)


def time_text(t_ns: int, zone: tzinfo | None, lang: str) -> str:
    """A time [ns UTC] in `zone`, or in the zone of this computer."""
    return moment(datetime.fromtimestamp(t_ns / 1e9, UTC).astimezone(zone), lang)
