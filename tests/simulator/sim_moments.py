"""The instant at which the tests' demo factory goes live."""

from datetime import UTC, datetime

NOW = datetime(2026, 5, 13, 3, 15, tzinfo=UTC)  # Wednesday 10:15 in Vietnam
NOW_NS = int(NOW.timestamp()) * 10**9
S = 1_000_000_000
DAY = 86_400 * S
