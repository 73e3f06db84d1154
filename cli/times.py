"""Times as people type and read them at a terminal."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

from words import moment


def parse_time(text: str, zone: tzinfo) -> datetime:
    """A date or a date and time (ISO 8601), in `zone` where it names no offset. ValueError if it is neither."""
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=zone)


def parse_past_time(text: str, zone: tzinfo, now: datetime) -> datetime:
    """As `parse_time`; a time of day alone (`8:10`, `08:10:30`) is the last one before `now`. ValueError if it is neither."""
    if not re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
        return parse_time(text, zone)
    today = now.astimezone(zone).date()
    hour, minutes = text.split(":", 1)
    when = datetime.combine(today, time.fromisoformat(f"{hour.zfill(2)}:{minutes}"), zone)
    return when if when <= now else when - timedelta(days=1)


def time_text(t_ns: int, zone: tzinfo | None, lang: str) -> str:
    """A time [ns UTC] in `zone`, or in the zone of this computer."""
    return moment(datetime.fromtimestamp(t_ns / 1e9, UTC).astimezone(zone), lang)
