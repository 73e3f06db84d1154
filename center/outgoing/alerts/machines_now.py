"""What every machine and gateway of a site is doing now, and since when without a break: what live messages say, and a memory
for what they do not. Not a source of facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from center.model.sites import lines_of, retired_since, site_machine
from center.outgoing.alerts.shift_now import ShiftNow, shifts_now
from center.runtime.live import Picture
from center.runtime.state import CenterState
from oee.model.states import State

UNKNOWN: Final = State.UNKNOWN.word
_BACKLOG_NS: Final = 120_000_000_000
"""What waits at a gateway for longer than this was held up: its facts are on their way, not lost."""


@dataclass(frozen=True)
class MachineNow:
    """A machine. online: whether its gateway is heard; state, since_ns: as it says, `unknown` and 0 where it says nothing;
    shift: that is on, None outside; planned: whether any calendar is known; held_up: data of its gateway are on their way.
    """

    site: str
    id: str
    gateway: str
    line: str
    name: dict[str, str]
    online: bool
    state: str
    since_ns: int
    reason: str
    shift: ShiftNow | None
    planned: bool
    held_up: bool

    @property
    def on_duty(self) -> bool:
        """Whether it is in its shift, or has no calendar that says when it is."""
        return self.shift is not None or not self.planned

    @property
    def in_break(self) -> bool:
        """Whether its shift is interrupted."""
        return self.shift is not None and self.shift.in_break

    @property
    def duty_since_ns(self) -> int:
        """When its shift began [ns UTC]; 0 without one."""
        return self.shift.start_ns if self.shift else 0


def machines_now(center: CenterState, site: str, now_ns: int) -> list[MachineNow]:
    """The site's machines, without those that are retired."""
    sites = center.ledger_cache.sites
    ids = [name for name in sites.machines(site) if retired_since(sites, site, name) is None]
    shifts = shifts_now(center, site, ids, now_ns)
    pictures: dict[str, Picture] = {}
    return [_machine(center, site, name, shifts, pictures, now_ns) for name in ids]


def _machine(
    center: CenterState,
    site: str,
    name: str,
    shifts: dict[str, ShiftNow | None],
    pictures: dict[str, Picture],
    now_ns: int,
) -> MachineNow:
    sites = center.ledger_cache.sites
    owner, described, spans = sites.owner(site, name), site_machine(sites, site, name), lines_of(sites, site, name)
    gateway = owner.gateway if owner else ""
    picture = pictures.setdefault(gateway, center.pictures.get(site, gateway))
    live = picture.live.machines.get(name) if picture.live else None
    status = picture.status
    oldest_ns = status.oldest_ns if status and status.waiting else None
    return MachineNow(
        site,
        name,
        gateway,
        spans[-1].line if spans else "",
        described.name if described else {"vi": name, "en": name},
        is_online(picture, now_ns),
        live.state if live else UNKNOWN,
        live.since_ns if live else 0,
        live.reason if live else "",
        shifts.get(name),
        name in shifts,
        oldest_ns is not None and now_ns - oldest_ns > _BACKLOG_NS,
    )


def is_online(picture: Picture, now_ns: int) -> bool:
    """Whether the gateway is heard."""
    return bool(picture.live_ns or picture.status_ns) and picture.online(now_ns)


@dataclass
class SinceWhen:
    """Since when things have been as they are, by what they are [ns UTC]."""

    _since: dict[Any, int] = field(default_factory=dict)

    def hold(self, key: Any, since_ns: int) -> int:
        """It is so, by all that is known now since then; returns since when it has been without a break."""
        known = self._since[key] = min(self._since.get(key, since_ns), since_ns)
        return known

    def release(self, key: Any) -> None:
        """It is so no more."""
        self._since.pop(key, None)

    def keep_only(self, keys: Sequence[Any]) -> None:
        """Forgets everything else."""
        wanted = set(keys)
        self._since = {key: value for key, value in self._since.items() if key in wanted}
