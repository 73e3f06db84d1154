"""Made-up months of the TPM report."""

from datetime import date

from center.outgoing.monthly.content import MONTHS, MonthContent, month_after

HOUR_MS = 3_600_000


def sums(oee=0.6, failures=3, hours=300.0, unknown_h=0.0):
    """Sums of a month in which a machine ran `hours` of 400 planned ones."""
    running = round(hours * HOUR_MS)
    made_us = round(running * 1000 * oee / (hours / 400))
    good_us = made_us * 98 // 100
    known = 400 * HOUR_MS - round(unknown_h * HOUR_MS)
    broken = failures * 2 * HOUR_MS
    out = {
        "running_ms": running, "running_ideal_known_ms": running, "breakdown_ms": broken,
        "unplanned_stop_ms": known - running - broken, "pieces_total": 1000, "pieces_judged": 1000, "pieces_good": 980,
        "pieces_process_reject": 20, "ideal_total_us": made_us, "ideal_judged_us": made_us, "ideal_good_us": good_us,
        "failures": failures, "failures_ms": broken,
    }  # fmt: skip
    return {name: value for name, value in out.items() if value}


def machine(name, month, *, target=650_000, **last):
    months = [
        {"month": one, "scheduled_ms": 400 * HOUR_MS, "sums": sums(0.5 + number / 100), "targets": {"oee": target}}
        for number, one in enumerate(month_after(month, back) for back in range(1 - MONTHS, 0))
    ]
    months.append({"month": month, "scheduled_ms": 400 * HOUR_MS, "sums": sums(**last), "targets": {"oee": target}})
    names = {"vi": f"Máy dập {name[-1]}", "en": f"Press {name[-1]}"}
    line = {"vi": "Dập", "en": "Stamping"}
    return {
        "id": name,
        "name": names,
        "line": "stamping",
        "line_name": line,
        "kind": "press",
        "constraint": False,
        "months": months,
    }


PAPERS = {
    "objectives": [
        {"machine": "press-1", "kind": "mtbf_s", "value_u": 36_000_000_000, "since": "2026-01", "by": "hoa"},
        {"machine": "press-2", "kind": "mttr_s", "value_u": 1_800_000_000, "since": "2026-01", "by": "hoa"},
        {"machine": "", "kind": "pm", "value_u": 900_000, "since": "2025-06", "by": "hoa"},
        {"machine": "", "kind": "planned_share", "value_u": 300_000, "since": "2025-06", "by": "hoa"},
    ],
    "references": [{"topic": "parts", "title": "Danh mục phụ tùng", "place": "Kho A", "edition": "v.C", "owner": "Nam"}],
    "changes": [{"month": "2025-11", "gateway": "main", "what": ("ideal", "calendar")}],
}  # fmt: skip
"""Objectives beside the targets, papers elsewhere, and changes of site files."""


def month_content(month="2026-02", **more):
    """A month with something in every section."""
    day = date.fromisoformat(f"{month}-02")
    due = [
        {"due": day, "until": day.replace(day=4), "done": day.replace(day=3), "by": "lan", "note": "thay dầu"},
        {
            "due": day.replace(day=12),
            "until": day.replace(day=14),
            "done": day.replace(day=20),
            "by": "lan",
            "note": "",
        },
        {"due": day.replace(day=22), "until": day.replace(day=24), "done": None, "by": "", "note": ""},
    ]
    plain = {
        "format": 2, "site": "van-long", "site_name": {"vi": "Nhựa Vân Long", "en": "Van Long Plastics"},
        "timezone": "Asia/Ho_Chi_Minh", "month": month, "revision": 1, "prior": "", "why": "",
        "made": "2026-03-04T09:15:00+07:00", "made_by": "hoa", "today": date(2026, 3, 4), "formula": "nakajima",
        "software": "0.1.0", "audit_head": "c" * 64,
        "machines": [machine("press-1", month, oee=0.7), machine("press-2", month, oee=0.55, failures=7, hours=280.0)],
        "losses": [
            {"state": "breakdown", "reason": "die-jam", "reason_name": {"vi": "Kẹt khuôn", "en": "Die jam"}, "maintenance": "corrective",
             "us": 72_000_000_000, "before_us": 50_000_000_000},
            {"state": "slow_cycles", "reason": "", "reason_name": {}, "maintenance": "", "us": 61_000_000_000, "before_us": 61_500_000_000},
            {"state": "unplanned_stop", "reason": "", "reason_name": {}, "maintenance": "", "us": 30_000_000_000, "before_us": 0},
            {"state": "planned_stop", "reason": "pm", "reason_name": {"vi": "Bảo trì", "en": "Maintenance"}, "maintenance": "preventive",
             "us": 36_000_000_000, "before_us": 36_000_000_000},
        ],
        "tasks": [{"id": "t1", "machine": "press-1", "title": "Thay dầu thủy lực", "kind": "preventive", "every_days": 10,
                   "tolerance": "fifth", "dues": due}],
        "actions": [{"id": "a1", "machines": ["press-1"], "what": "Vệ sinh khuôn mỗi ca", "cause": "Bavia bám khuôn", "owner": "Hùng",
                     "state": "judged", "created": "2026-01-05T08:00:00+07:00", "due": date(2026, 2, 20), "result": "verified",
                     "exploratory": False, "minutes_c": (4500, 9800, 15200),
                     "says": {"vi": "OEE tăng.", "en": "OEE rose."},
                     "numbers": {"metric": "oee", "before_u": 601_000, "after_u": 653_000, "change_u": (11_000, 52_000, 93_000),
                                 "least_u": 40_000, "days": (40, 28)}}],
        "trust": {"scheduled_ms": 800 * HOUR_MS, "known_ms": 800 * HOUR_MS, "unknown_ms": 0, "missing_ms": 0, "missing_envelopes": 0,
                  "unverified": [], "without_calendar": 0},
        "earlier": [], "declared": [],
        "site_files": [{"gateway": "main", "hash": "0" * 16, "since": "2025-01-01T00:00:00+07:00"}],
    }  # fmt: skip
    return content(plain | more)


def content(plain):
    """As the program reads it: lists become tuples."""
    return MonthContent.model_validate(_tuples(plain))


def _tuples(value):
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
