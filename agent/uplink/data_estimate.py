"""Estimates the traffic of a site before it is measured. Pure; the sizes were measured with `bench/delivery.py`."""

from collections.abc import Mapping
from typing import Final

from agent.uplink.budget import LIVE, MB, MUST, VALUES, Part
from config import Site, values_of
from config.devices.kinds import periods_s

GATEWAY_BYTES: Final = 3_000_000
"""A day of status, receipts, keep-alives and connecting, with headers of TCP and TLS [bytes]."""
MACHINE_BYTES: Final = 330_000
"""A day of facts, losses and stops of one machine, with corrections [bytes]."""
LIVE_BYTES: Final = 210_000
"""A day of one machine in `live` [bytes]."""
VALUE_BYTES: Final = 3.0
"""One process value, compressed among others [bytes]; whole numbers and temperatures take less."""
_DAY_S: Final = 86_400.0
DAYS: Final = 30


def expected(site: Site) -> dict[Part, float]:
    """Bytes a day of each part, if every value is sent as often as allowed: an upper bound for values that seldom change."""
    periods = {
        f"{device}.{tag}": period_s
        for device, model in site.devices.items()
        for tag, period_s in periods_s(model).items()
    }
    values_a_day = sum(
        _DAY_S / max(periods.get(tag, model.at_least_every), model.at_most_every or 0.0)
        for tag, model in values_of(site).items()
    )
    machines = len(site.machines)
    return {
        MUST: GATEWAY_BYTES + machines * MACHINE_BYTES,
        LIVE: machines * LIVE_BYTES,
        VALUES: values_a_day * VALUE_BYTES,
    }


def month_mb(parts: Mapping[Part, float]) -> dict[Part, float]:
    """The same for a month [MB]."""
    return {part: size * DAYS / MB for part, size in parts.items()}
