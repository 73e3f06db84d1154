"""`nhip monthly` on the store of a center that does not run."""

import json
from datetime import datetime

import console_plant as plant
import pytest
from click.testing import CliRunner
from pypdf import PdfReader
from servers import free_port

import nhip
from center.outgoing.monthly.archive import ATTACHED
from center.outgoing.monthly.content import content_of, digest_of
from oee.model.calendars import to_ns
from words import say

NOW_NS = to_ns(datetime(2026, 3, 5, 19, 23, tzinfo=plant.ZONE))
SITE, MONTH = "van-long", "2026-02"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("monthly")
    plant.make(folder / "nhip.duckdb", 10, NOW_NS).store.close()
    file = folder / "center.yaml"
    file.write_text(
        f"broker: mqtt://127.0.0.1:9\naccounts: 'off'\nlisten: 127.0.0.1:{free_port()}\nstore: {{kind: duckdb, file: nhip.duckdb}}\n"
    )

    def command(*words, code=0):
        found = CliRunner().invoke(nhip.main, ["monthly", str(file), *words], env={"NHIP_LANG": "en"})
        assert found.exit_code == code, found.output
        return found.output

    return command


def test_a_month_is_looked_at_issued_and_saved(run, tmp_path):
    assert say("months.none", "en") in run(SITE)
    draft = json.loads(run(SITE, MONTH, "--draft", "--json"))
    assert (draft["revision"], draft["format"]) == (1, 2)
    assert say("monthly.draft", "en") in run(SITE, MONTH, "--draft")
    saved = tmp_path / "month.pdf"
    assert "month.pdf" in run(SITE, MONTH, "--issue", "--pdf", str(saved), "--pdf-lang", "both").replace("\n", "")
    (sums,) = PdfReader(saved).attachments[ATTACHED]
    (issue,) = json.loads(run(SITE, "--json"))["issues"]
    assert (issue["digest"], issue["revision"]) == (digest_of(sums), 1)
    assert digest_of(sums)[:8] in run(SITE)
    assert json.loads(run(SITE, MONTH, "--json")) == json.loads(sums)
    assert content_of(sums).made_by == issue["made_by"]


def test_what_cannot_be_done_is_said(run):
    assert "2026-02" in run(SITE, "February", code=2)
    assert "which month" in run(SITE, "--issue", code=2)
    assert "--draft" in run(SITE, MONTH, "--draft", "--issue", code=2)
    assert "2026-01" in run(SITE, "2026-01", "--revision", "7", code=1)
    assert "over" in run(SITE, "2099-01", "--issue", code=1)
    assert "nowhere" in run("nowhere", code=1)
