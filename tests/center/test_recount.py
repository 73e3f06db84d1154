"""Rows that somebody deleted by hand: hours and days say the same as minutes again, on every store that keeps sums."""

import json

import pytest
from center_plant import batch, ns, running
from click.testing import CliRunner
from influx_plant import influx_settings

from center.contract.store import Query
from center.runtime.opening import open_store
from config import load_center
from nhip import main
from oee.model.facts import MINUTE_NS

T = ns("2026-03-02T00:00:00")
DAY_NS = 1440 * MINUTE_NS


def _delete(store, kind):
    if kind == "influxdb":
        store.database.server.ask(["DELETE FROM facts WHERE machine = 'a'"], store.database.name)
        return
    with store.file.writing() as cursor:
        cursor.execute("DELETE FROM facts WHERE machine = 'a'")
        cursor.commit()


@pytest.mark.parametrize("kind", ["duckdb", "influxdb"])
def test_rows_deleted_by_hand(tmp_path, kind):
    own = {"file": str(tmp_path / "f.duckdb")} if kind == "duckdb" else influx_settings(tmp_path)
    file = tmp_path / "center.yaml"
    file.write_text(f"broker: mqtt://127.0.0.1:1\nstore: {json.dumps({'kind': kind} | own)}\n")
    store = open_store(load_center(file))
    store.write([batch(running(T, 3 * 1440, machine=name)) for name in ("a", "b")])

    def added_up():
        if kind == "influxdb":
            store.hours._now_ns = lambda: T + 5 * DAY_NS
        while store.roll_up(T + 5 * DAY_NS, leased=True):
            pass

    def pieces():
        return {
            bucket: int(store.facts(Query("van-long", T, T + 3 * DAY_NS, bucket=bucket)).column("pieces_good").sum())
            for bucket in ("minute", "hour", "day", "all")
        }

    added_up()
    assert set(pieces().values()) == {2 * 3 * 14_400}
    _delete(store, kind)
    assert pieces()["day"] == 2 * 3 * 14_400, "the sums stay, and somebody has to say so"
    store.close()
    asked = ["recount", str(file), "--site", "van-long", "--lang", "en"]
    part = CliRunner().invoke(main, [*asked, "--from", "2026-03-02", "--to", "2026-03-03", "--json"])
    assert part.exit_code == 0, part.output
    assert 24 <= json.loads(part.output)["hours"] <= 25
    whole = CliRunner().invoke(main, asked)
    assert whole.exit_code == 0, whole.output
    assert "72 hours of van-long" in whole.output
    store = open_store(load_center(file))
    for _ in range(2):
        assert set(pieces().values()) == {3 * 14_400}
        added_up()
    store.close()


def test_what_cannot_be_recounted_is_said(tmp_path):
    file = tmp_path / "center.yaml"
    file.write_text(f"broker: mqtt://127.0.0.1:1\nstore: {{kind: duckdb, file: {tmp_path}/f.duckdb}}\n")
    for more, code, words in (
        (["--from", "soon"], 2, "2026-03-02"),
        ([], 0, "no hours in this window"),
    ):
        done = CliRunner().invoke(main, ["recount", str(file), "--site", "nowhere", "--lang", "en", *more])
        assert (done.exit_code, words in done.output) == (code, True), done.output
