"""How much one gateway may say about its site. Pure.

The site file is checked against these numbers, and a center accepts no more: what passes the one passes the other. They are
some ten times what the largest factories need that anybody told us of (docs/design/0024-what-a-gateway-may-cost.md).
"""

from typing import Final

MOST_CHARACTERS: Final = 256
"""Of any text that is shown or counted by: names, ids, reasons, units."""
MOST_LANGUAGES: Final = 4
MOST_MACHINES: Final = 2_000
MOST_PRODUCTS: Final = 20_000
MOST_REASONS: Final = 5_000
MOST_LINES: Final = 1_000
MOST_CALENDARS: Final = 100
MOST_SHIFTS: Final = 50
"""Of a calendar, or of one of its exceptional days."""
MOST_BREAKS: Final = 20
"""Of a shift."""
MOST_EXCEPTIONS: Final = 2_000
"""Days of a calendar."""
MOST_VALUES: Final = 20_000
"""Process values that are sent."""
MOST_TARGETS: Final = 5_000
MOST_TASKS: Final = 500
"""Of planned maintenance."""
MOST_DEVICES: Final = 500
