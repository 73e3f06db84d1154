"""Maintenance that a site file plans: the tablet is asked for it, and what is said at tablet or command goes to the center."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from andon_plant import ABOUT, AndonGateway, form
from click.testing import CliRunner
from test_pipeline import T0

import nhip
from agent.andon.notices import notice
from agent.outbox import entries
from agent.outbox.outbox import Outbox
from config import Misconfigured, load_site
from config.compile.describe import description
from oee.kpi.maintenance import PlannedTask
from wire.site import SiteBody

TODAY = datetime.fromtimestamp(T0 / 1e9, UTC).date()
PLAN = {"oil": PlannedTask(10, TODAY - timedelta(days=3), None, "day")}
SITE = """
site: test
timezone: UTC
center: {broker: "mqtt://127.0.0.1:9", username: x, password_file: x}
andon: {listen: "127.0.0.1:8090"}
devices:
  d: {kind: modbus_tcp, host: 127.0.0.1, tags: {run: {coil: 0}, count: {holding: 1, type: uint32}}}
machines:
  m: {state: [{when: d.run, is: running}, {is: unplanned_stop}], pieces: {total: d.count}}
  n: {state: [{when: d.run, is: running}, {is: unplanned_stop}], pieces: {total: d.count}}
maintenance:
  oil: {machine: m, name: {vi: Thay dầu, en: Change the oil}, every_days: 30, first: FIRST}
shifts: [{name: A, days: daily, from: "00:00", to: "24:00"}]
"""


async def test_the_tablet_is_asked_until_somebody_says_it_is_done(tmp_path):
    about = replace(ABOUT, offer=replace(ABOUT.offer, tasks=PLAN))
    gateway = AndonGateway(tmp_path / "outbox.db", set(), 60, about)
    try:
        await gateway.go(30)
        due = (TODAY - timedelta(days=3)).isoformat()
        (row, later) = (await gateway.page())["maintenance"]
        assert (row["task"], row["due"], row["state"]) == ("oil", due, "overdue")
        assert later["due"] == (TODAY + timedelta(days=7)).isoformat()
        assert await gateway.enter(form("maintained", 1, value="oil", due=due)) == ["saved"]
        assert [row["due"] for row in (await gateway.page())["maintenance"]] == [later["due"]]
        assert await gateway.enter(form("maintained", 2, value="belt", due=due)) == ["refused"]
        assert await gateway.enter(form("maintained", 3, value="oil", due=TODAY.isoformat())) == ["refused"]
        (said,) = [item for item in (await gateway.page())["entries"] if item["kind"] == "maintained"]
        assert await gateway.enter(form("take_back", 4, entry=said["id"])) == ["saved"]
        assert len((await gateway.page())["maintenance"]) == 2
    finally:
        await gateway.close()


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.yaml"
    first = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    path.write_text(SITE.replace("FIRST", first), encoding="utf-8")
    Outbox(tmp_path / "site.outbox").close()
    return path


def test_the_command_keeps_it_for_the_center(site, tmp_path):
    def run(*words, code=0):
        found = CliRunner().invoke(
            nhip.main, ["declare", str(site), "m", "maintained", *words], env={"NHIP_LANG": "en"}
        )
        assert found.exit_code == code, found.output
        return found.output

    told = json.loads(run("oil", "--who", "lan", "--json"))
    assert told["due"] == (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    assert "Change the oil" in run("oil", code=0), "the next due date, early"
    assert "oil" in run("belt", code=2)
    outbox = Outbox(tmp_path / "site.outbox")
    waiting = outbox.within(lambda db: entries.confirm_and_read(db, (), 10))
    outbox.close()
    first = notice(*waiting[0])
    assert (first.kind, first.about, first.of, first.by) == ("maintained", "oil", told["due"], "andon/lan")
    assert len(waiting) == 2


def test_a_plan_is_described_and_names_machines_that_exist(site):
    body = SiteBody.model_validate(description(load_site(site))(0) | {"valid_from_ns": 0})
    assert (body.maintenance["oil"].machine, body.maintenance["oil"].every_days) == ("m", 30)
    assert isinstance(body.maintenance["oil"].first, date)
    site.write_text(
        site.read_text(encoding="utf-8").replace("oil: {machine: m", "oil: {machine: press"), encoding="utf-8"
    )
    with pytest.raises(Misconfigured, match=r"maintenance\.oil\.machine"):
        load_site(site)
