"""The maintenance plan of site files at the center: tasks begin and end with files, and what tablets say is counted once."""

import json
from datetime import date, timedelta

import pytest
from center_plant import ZONE, ns, site_body
from hypothesis import given
from hypothesis import strategies as st

from center.database.filed_tasks import filed_tasks, is_due, merged, told_done
from center.database.maintenance import DoneTask
from center.database.notices import NoticeRecord
from center.model.sites import SiteRow, Sites
from oee.kpi.maintenance import due_between
from wire.bodies import Notice
from wire.site import DESCRIBED, PLANNED, SiteBody, sendable

OIL = {
    "machine": "press-1",
    "name": {"vi": "Thay dầu"},
    "kind": "preventive",
    "every_days": 10,
    "first": "2026-01-05",
    "tolerance": "day",
}


def sites(*files):
    """files: (day, what the file's plan says)."""
    rows = []
    for day, plan in files:
        at_ns = ns(f"{day}T06:00:00")
        body = site_body(valid_from=at_ns, maintenance=plan)
        body["config_hash"] = f"h{day}"
        rows.append(SiteRow("van-long", "main", body["config_hash"], at_ns, json.dumps(body)))
    return Sites(rows)


def test_a_task_begins_with_its_file_ends_with_another_and_keeps_its_grid():
    found = filed_tasks(
        sites(("2026-01-20", {"oil": OIL}), ("2026-03-02", {"oil": OIL | {"every_days": 20}}), ("2026-05-01", {})),
        "van-long",
        ZONE,
    )
    plans = [(item.task.plan.every_days, item.task.plan.first, item.task.plan.last) for item in found]
    assert plans == [(10, date(2026, 1, 25), date(2026, 3, 1)), (20, date(2026, 3, 6), date(2026, 4, 30))]
    assert len({item.task.id for item in found}) == 2
    assert {item.task.title for item in found} == {"Thay dầu"}
    again = filed_tasks(sites(("2026-01-20", {"oil": OIL}), ("2026-02-01", {"oil": OIL})), "van-long", ZONE)
    assert [(item.task.plan.last, item.task.id) for item in again] == [(None, found[0].task.id)], (
        "the same task goes on"
    )


@given(st.integers(1, 60), st.integers(-100, 100), st.integers(0, 300))
def test_what_is_due_is_what_the_plan_lists(every, ahead, offset):
    first = date(2026, 1, 1) + timedelta(days=ahead)
    (item,) = filed_tasks(
        sites(("2026-01-10", {"oil": OIL | {"every_days": every, "first": first.isoformat()}})), "van-long", ZONE
    )
    plan, day = item.task.plan, date(2026, 1, 1) + timedelta(days=offset)
    assert bool(due_between(plan, day, day, {})) == is_due(plan, day)
    assert plan.first >= date(2026, 1, 10) or plan.first == first


def said(number, at, about="oil", of="2026-02-04", kind="maintained", machine="press-1", gateway="main"):
    notice = Notice(id=number, at_ns=ns(at), machine=machine, kind=kind, about=about, of=of, by="andon/ca A")
    return NoticeRecord("van-long", gateway, notice)


def test_what_a_tablet_says_is_counted_for_its_due_date_until_it_is_taken_back():
    found = filed_tasks(sites(("2026-01-20", {"oil": OIL})), "van-long", ZONE)
    number = found[0].task.id
    rows = [
        said("a", "2026-02-05T08:00:00"),
        said("b", "2026-02-06T08:00:00"),
        said("c", "2026-02-06T09:00:00", of="2026-02-05"),
    ]
    rows += [
        said("d", "2026-02-15T08:00:00", of="2026-02-14"),
        said("e", "2026-02-15T09:00:00", of="d", kind="take_back"),
    ]
    rows += [
        said("f", "2026-02-25T08:00:00", about="belt", of="2026-02-24"),
        said("g", "2026-02-25T08:00:00", of="2026-02-24", gateway="other"),
    ]
    rows += [said("h", "2026-02-25T08:00:00", of="soon")]
    told = told_done(found, reversed(rows), ZONE)
    assert {due: (item.done, item.who) for due, item in told[number].items()} == {
        date(2026, 2, 4): (date(2026, 2, 6), "andon/ca A")
    }
    console = {
        number: {
            date(2026, 2, 4): DoneTask(number, date(2026, 2, 4), date(2026, 2, 5), "lan", "", ns("2026-02-07T08:00:00"))
        }
    }
    assert merged(told, console)[number][date(2026, 2, 4)].who == "lan", "what was said last"
    assert merged(console, told)[number][date(2026, 2, 4)].who == "lan"


def test_a_center_that_does_not_know_plans_gets_none():
    body = SiteBody.model_validate(site_body(maintenance={"oil": OIL}))
    assert "maintenance" not in sendable(body, {DESCRIBED})
    assert sendable(body, {DESCRIBED, PLANNED})["maintenance"]["oil"]["first"] == "2026-01-05"
    assert "maintenance" not in sendable(SiteBody.model_validate(site_body()), {DESCRIBED, PLANNED}), (
        "older digests stay"
    )
    with pytest.raises(ValueError, match="every_days"):
        SiteBody.model_validate(site_body(maintenance={"oil": OIL | {"every_days": 0}}))
