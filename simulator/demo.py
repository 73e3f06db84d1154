"""The demo factory Song Hong: six machines, each with a typical problem."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from simulator.factory import WEEKDAYS, Causes, Event, Factory, Habits, MachineSpec, ProductSpec, ShiftSpec, Weekday
from simulator.site import site

__all__ = ["break_hour", "day_off", "factory", "site"]

ZONE = "Asia/Ho_Chi_Minh"
HISTORY_DAYS = 56
"""So long that what was found after three weeks is confirmed, and that an action could be measured in between."""
MENDED_DAYS_AGO = 30
"""When shifts of sew-1 no longer began late (`demo.mended`)."""
_SHIFTS = (("A", 6, 1.0), ("B", 14, 1.03), ("C", 22, 1.22))


def day_off(now: datetime) -> Weekday:
    """The weekly day off: far from today, so that the machines work today and tomorrow."""
    return WEEKDAYS[(now.weekday() + 4) % 7]


def break_hour(now: datetime) -> int:
    """Hours into each shift at which its break begins: not within an hour before or two hours after `now`,
    so that a demo does not start with an empty factory.
    """
    into = (now.hour - 6) % 8
    return 4 if into not in {2, 3, 4} else 6 if into < 4 else 2


def factory(
    now: datetime,
    *,
    history_days: int = HISTORY_DAYS,
    seed: int = 1,
    zone: str = ZONE,
    weekly_day_off: Weekday | None = None,
) -> Factory:
    """The demo factory for a demo that goes live at `now` (aware) after `history_days` of history."""
    local = now.astimezone(ZoneInfo(zone))
    off = weekly_day_off or day_off(local)
    start = (now - timedelta(days=history_days)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Factory(
        seed=seed,
        timezone=zone,
        start=start,
        shifts=_shifts(off, break_hour(local)),
        machines=_machines(max(0, history_days - MENDED_DAYS_AGO)),
    )


def _shifts(off: Weekday, pause: int) -> tuple[ShiftSpec, ...]:
    days = tuple(day for day in WEEKDAYS if day != off)
    return tuple(
        ShiftSpec(
            name=name,
            start=f"{begin:02}:00",
            end=f"{(begin + 8) % 24:02}:00",
            breaks=((f"{(begin + pause) % 24:02}:00", f"{(begin + pause) % 24:02}:30"),),
            days=days,
            trouble=trouble,
        )
        for name, begin, trouble in _SHIFTS
    )


def _machines(mended_day: int) -> tuple[MachineSpec, ...]:
    return (_press(), _cnc_1(), _cnc_2(), _moulder(), _packer(), _sewing(mended_day))


def _press() -> MachineSpec:
    """Long changeovers, some three times as long as the others."""
    return MachineSpec(
        id="press-1",
        device="press-plc",
        plc="press",
        products=_products((101, 1.8), (102, 2.0), (103, 2.3)),
        minor_limit_s=60,
        startup_pieces=20,
        counter_start=61_240,
        causes=Causes(changeover_tail=0.3),
        habits=Habits(
            speed=1.04, jitter=0.04, slow_share=0.01, reject_rate=0.012, startup_reject_rate=0.12,
            changeover_rejects=(3, 9), late_s=70, handover_s=75, alarms=(12, 21, 34),
            events={
                "minor": Event(every_s=58, lasts_s=7.5, spread=0.55),
                "unplanned": Event(every_s=9_000, lasts_s=240, spread=0.5),
                "breakdown": Event(every_s=26_000, lasts_s=1_100, spread=0.7),
                "changeover": Event(every_s=24_000, lasts_s=3_300, spread=0.3, at_most_s=7_200),
                "offline": Event(every_s=160_000, lasts_s=150, spread=0.6),
            },
        ),
    )  # fmt: skip


def _cnc_1() -> MachineSpec:
    """Breakdowns, and a late start of every shift."""
    return MachineSpec(
        id="cnc-1",
        device="cnc-1-plc",
        plc="cnc_rejects",
        products=_products((2001, 38), (2002, 44)),
        counter_start=2**32 - 3_000,
        causes=Causes(late_s=720),
        habits=Habits(
            speed=1.05, jitter=0.03, slow_share=0.02, reject_rate=0.015, startup_reject_rate=0.1,
            changeover_rejects=(1, 3), late_s=60, handover_s=60, alarms=(401, 1020, 2101),
            events={
                "minor": Event(every_s=700, lasts_s=45, spread=0.7),
                "unplanned": Event(every_s=14_000, lasts_s=600, spread=0.5),
                "breakdown": Event(every_s=42_000, lasts_s=2_700, spread=0.8),
                "changeover": Event(every_s=50_000, lasts_s=1_900, spread=0.35, at_most_s=5_400),
                "offline": Event(every_s=250_000, lasts_s=120, spread=0.5),
            },
        ),
    )  # fmt: skip


def _cnc_2() -> MachineSpec:
    """Becomes slower all month; its chip bin is full every 25 minutes."""
    return MachineSpec(
        id="cnc-2",
        device="cnc-2-plc",
        plc="cnc_good",
        products=_products((3001, 52), (3002, 58)),
        counter_start=184_000,
        causes=Causes(reel_s=1500),
        habits=Habits(
            speed=1.03, speed_drift_per_day=0.007, speed_at_most=1.3, jitter=0.03, slow_share=0.02, reject_rate=0.01,
            startup_reject_rate=0.08, changeover_rejects=(1, 3), late_s=50, handover_s=60, alarms=(17, 88),
            events={
                "minor": Event(every_s=800, lasts_s=40, spread=0.7),
                "unplanned": Event(every_s=16_000, lasts_s=560, spread=0.4),
                "breakdown": Event(every_s=60_000, lasts_s=2_200, spread=0.7),
                "changeover": Event(every_s=60_000, lasts_s=1_500, spread=0.3, at_most_s=5_400),
                "offline": Event(every_s=300_000, lasts_s=90, spread=0.5),
            },
        ),
    )  # fmt: skip


def _moulder() -> MachineSpec:
    """Four cavities and many rejects, above all at the start of shifts."""
    return MachineSpec(
        id="inj-1",
        device="inj-1-opc",
        plc="moulder",
        cavities=4,
        products=_products((501, 24), (502, 21.6)),
        startup_pieces=16,
        counter_start=40_100,
        causes=Causes(start_rejects=6),
        habits=Habits(
            speed=1.03, jitter=0.02, slow_share=0.015, reject_rate=0.03, startup_reject_rate=0.2,
            changeover_rejects=(3, 8), late_s=90, handover_s=45,
            events={
                "minor": Event(every_s=520, lasts_s=35, spread=0.7),
                "unplanned": Event(every_s=15_000, lasts_s=900, spread=0.6),
                "changeover": Event(every_s=75_000, lasts_s=2_700, spread=0.3, at_most_s=7_200),
                "offline": Event(every_s=300_000, lasts_s=100, spread=0.5),
            },
        ),
    )  # fmt: skip


def _packer() -> MachineSpec:
    """Many short stops; shift C runs it more slowly."""
    return MachineSpec(
        id="pack-1",
        device="pack-1-opc",
        plc="packer",
        products=_products((7, 2.8), (8, 3.1)),
        minor_limit_s=60,
        startup_pieces=10,
        counter_start=912_000,
        causes=Causes(slower={"C": 0.15}),
        habits=Habits(
            speed=1.05, jitter=0.04, slow_share=0.015, reject_rate=0.006, startup_reject_rate=0.05,
            changeover_rejects=(2, 6), late_s=40, handover_s=50,
            events={
                "minor": Event(every_s=38, lasts_s=8, spread=0.5),
                "unplanned": Event(every_s=11_000, lasts_s=260, spread=0.5),
                "breakdown": Event(every_s=50_000, lasts_s=900, spread=0.6),
                "starved": Event(every_s=2_000, lasts_s=60, spread=0.8),
                "blocked": Event(every_s=6_000, lasts_s=75, spread=0.7),
                "changeover": Event(every_s=40_000, lasts_s=1_200, spread=0.3, at_most_s=3_600),
                "offline": Event(every_s=300_000, lasts_s=80, spread=0.5),
            },
        ),
    )  # fmt: skip


def _sewing(mended_day: int) -> MachineSpec:
    """A pulse counter and nothing else; its shifts began late until somebody did something about it."""
    return MachineSpec(
        id="sew-1",
        device="sewing-io",
        plc="pulse",
        products=_products((1, 20)),
        counter_start=5_000,
        causes=Causes(late_s=900, until_day=mended_day),
        habits=Habits(
            late_s=80, handover_s=90,
            events={
                "minor": Event(every_s=420, lasts_s=70, spread=0.5),
                "unplanned": Event(every_s=9_000, lasts_s=900, spread=0.6),
                "offline": Event(every_s=400_000, lasts_s=120, spread=0.5),
            },
        ),
    )  # fmt: skip


def _products(*pairs: tuple[int, float]) -> tuple[ProductSpec, ...]:
    return tuple(ProductSpec(number=number, ideal_s=ideal_s) for number, ideal_s in pairs)
