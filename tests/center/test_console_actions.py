"""The pages of actions: escaped, complete for every metric and verdict, and from a finding to its verdict in a real browser."""

from dataclasses import replace

import httpx
import numpy as np
import pytest
from action_plant import PLAN, TERMS, at
from histories import ZONE
from measured_days import after_of, measured
from playwright.sync_api import expect
from servers import PATIENCE_S, eventually

from center.api.advice import action_answers
from center.console.advice import action_cards as cards
from center.console.advice.action_form import read
from center.console.advice.action_picture import action_picture
from center.model.kept_action import KeptAction
from center.model.viewer import EVERYTHING
from oee.advice.gain import action
from oee.advice.gain.action import ActionRecord
from oee.advice.gain.detectable import Detectable
from oee.advice.gain.measured import MeasuredPair
from oee.advice.gain.metrics import METRICS
from oee.advice.gain.verdict import judge
from words import LANGUAGES

_RNG = np.random.default_rng(4)
_DAYS = [880 + 10 * _RNG.standard_normal(24) for _ in range(4)]
_GOOD = [
    days * (share + 0.01 * _RNG.standard_normal(24)) for days, share in zip(_DAYS, (0.6, 0.7, 0.6, 0.6), strict=True)
]
OWN = MeasuredPair(measured(_GOOD[0], _DAYS[0]), after_of(_GOOD[1], _DAYS[1]))
CONTROL = measured(_GOOD[2], _DAYS[2]), after_of(_GOOD[3], _DAYS[3])
TOLD = Detectable(0.02, 90.0, 0.6, 0.03, (24, 25), 30, 48, 0)
MEASURING = at(2026, 3, 20)
EVIL = "<script>window.broken = 1</script>"
BOTH = {"write": True, "aim": True}


class _Nowhere:
    """A center that knows one site and no machine of it."""

    zone = ZONE

    def __init__(self):
        self.ledger_cache = self
        self.sites = self

    def ids(self):
        return [PLAN.site]

    def current(self, _site):
        return None

    def body_of(self, *_):
        return None

    def of_machine(self, *_):
        return ()

    def now_ns(self):
        return MEASURING


def row(record):
    item = KeptAction("ab", PLAN.site, record, 1, EVIL, 2)
    return action_answers.detail(_Nowhere(), EVERYTHING, item, [], [])


FROZEN = action.registered(ActionRecord(replace(TERMS, what=EVIL, method=EVIL), PLAN), TOLD, EVIL, at(2026, 2, 15))
JUDGED = replace(
    FROZEN, stage="judged", verdict=judge(replace(PLAN, metric="oee", part=""), replace(OWN, controls={"m-2": CONTROL}))
)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("metric", sorted(METRICS))
@pytest.mark.parametrize("stage", ["draft", "registered", "judged", "given_up"])
def test_every_page_is_complete_and_escaped(lang, metric, stage):
    part = {"loss": f"breakdown/{EVIL}", "edge": "after_break", "setup": "A→B"}.get(metric, "")
    record = replace(JUDGED if stage == "judged" else FROZEN, stage=stage)
    record = replace(record, plan=replace(PLAN, metric=metric, part=part))
    whole = cards.page(row(record), EVIL, ZONE, BOTH, lang)
    assert EVIL not in whole
    assert "&lt;script&gt;" in whole
    assert "{" not in whole
    assert ("/register" in whole) == (stage == "draft")
    assert ("/standardise" in whole) == (stage == "judged")
    assert ("/give_up" in whole) == (stage != "given_up")
    shown = cards.page(row(record), EVIL, ZONE, {"write": False, "aim": False}, lang)
    assert "<form" not in shown


def test_the_picture_has_both_windows_and_the_controls():
    drawn = action_picture(row(JUDGED), "vi")
    assert drawn.count('class="dot') == 96
    assert drawn.count("beside") == 48
    assert drawn.count('class="band') == drawn.count('class="level') == 2
    assert "nan" not in drawn
    assert action_picture(row(FROZEN), "vi") is None


def test_a_page_says_what_makes_it_exploratory_and_what_the_first_plan_gave():
    longer = replace(PLAN, settle_days=2)
    record = action.revised(FROZEN, longer, TOLD, "minh", MEASURING)
    record = replace(record, stage="judged", verdict=JUDGED.verdict, first=replace(JUDGED.verdict, result="worse"))
    shown = cards.page(row(record), "x", ZONE, BOTH, "vi")
    assert "Thăm dò" in shown
    assert "Theo kế hoạch đăng ký đầu tiên" in shown
    assert "Kết quả xấu đi" in shown


def test_what_is_expected_and_cannot_be_seen_is_said_before_registering():
    for told, text in (
        (replace(TOLD, expected=0.001, controls=0), "quá, kế hoạch này có lẽ không thấy được"),
        (replace(TOLD, expected=0.5), "đủ lớn để thấy được"),
        (None, "chưa có số liệu"),
    ):
        draft = ActionRecord(TERMS, replace(PLAN, metric="oee", part="", expected_min=5), told=told)
        shown = cards.page(row(draft), "x", ZONE, BOTH, "vi")
        assert text in shown
    assert "không mức nào" in cards.page(
        row(ActionRecord(TERMS, PLAN, told=replace(TOLD, effect=float("inf"), minutes=float("inf")))),
        "x",
        ZONE,
        BOTH,
        "vi",
    )


@pytest.mark.parametrize(
    ("written", "cost"),
    [("1.500.000", 1_500_000), ("1500000", 1_500_000), ("12,5", 12.5), ("12.5", 12.5), ("1.500", 1500), ("1.500,5", 1500.5), ("", None), ("x", "x")],
)  # fmt: skip
def test_costs_are_read_as_people_write_them(written, cost):
    from starlette.datastructures import FormData

    assert read(FormData([("cost", written)]))["cost"] == cost


# in a browser


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    from console_browser import served_by

    with served_by("action_console_plant.py", tmp_path_factory.mktemp("action-console")) as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [390, 1400])
def test_pages_of_advice_and_actions_have_no_serious_fault(url, chromium, tmp_path, width, lang):
    """As tests/center/test_accessibility.py has it of the other pages."""
    from accessibility import axe
    from console_browser import Plant, faults, quiet_tabs

    axe()
    advised = Plant(url, tmp_path / "away")
    finding = advised.ask("findings")["rows"][0]["id"]
    actions = advised.ask("actions")["rows"]
    verified, unproved = (
        next(row["id"] for row in actions if row["verdict"]["result"] == result) for result in ("verified", "not_shown")
    )
    with quiet_tabs(advised, chromium) as open_page:
        page = open_page("/advice", lang, width)
        for path, loaded in {
            "/advice": ".finding.open",
            f"/advice/{finding}": ".plot .dot",
            "/actions": ".whole .big",
            f"/actions/{verified}": ".plot .dot",
            f"/actions/{unproved}": ".plot .dot",
            f"/actions/new?finding={finding}": ".action-form",
            f"/actions/{verified}/edit": ".action-form",
        }.items():
            page.goto(url + path)
            page.wait_for_selector(loaded)
            assert faults(page) == [], path


@pytest.mark.browser
def test_from_a_finding_to_a_registered_action_to_its_verdict(url, chromium, tmp_path):
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    context.add_cookies([{"name": "nhip_lang", "value": "vi", "url": url}])
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/advice")
    page.locator(".finding.open", has_text="m-3").first.click()
    page.locator("a.act").click()
    expect(page.locator("input[name=machines][value=m-3]")).to_be_checked()
    expect(page.locator("select[name=measure]")).to_have_value("edge|shift_start")
    page.locator("input[name=owner]").fill("Lan")
    page.locator("input[name=before_to]").fill("2026-03-18")
    page.locator(".action-form button").click()
    expect(page.locator(".said.bad")).to_contain_text("12 ngày")
    expect(page.locator("input[name=owner]")).to_have_value("Lan")
    # its history is over: the window before ended long ago, so that the planted past holds both windows
    for name, day in {
        "before_from": "2026-01-12",
        "before_to": "2026-02-14",
        "work_from": "2026-02-16",
        "work_to": "2026-02-17",
        "after_from": "2026-02-21",
        "after_to": "2026-03-28",
    }.items():
        page.locator(f"input[name={name}]").fill(day)
    for control in ("m-1", "m-4"):
        page.locator(f"input[name=controls][value={control}]").uncheck()
    page.locator(".action-form button").click()
    expect(page.locator(".sentence")).to_contain_text("thấy được thay đổi từ")
    expect(page.locator(".said.bad", has_text="phát hiện")).to_have_count(1)
    page.locator("form.step button").click()
    expect(page.locator(".plate", has_text="Thăm dò")).to_have_count(1)
    file = tmp_path / "ảnh.png"
    file.write_bytes(page.screenshot())
    page.locator("input[type=file]").set_input_files(str(file))
    page.locator("form.upload button").click()
    expect(page.locator(".files img")).to_have_count(1)
    eventually(lambda: page.evaluate("document.querySelector('.files img').naturalWidth") > 0)
    page.locator(".rows + .form textarea").fill("Đã đặt hàng")
    page.locator(".rows + .form button").click()
    expect(page.locator(".rows.mute")).to_contain_text("Đã đặt hàng")
    assert httpx.post(f"{url}/api/v1/test/judge?to={at(2026, 4, 2)}", timeout=PATIENCE_S).json() == {"done": True}
    page.reload()
    expect(page.locator(".plot .level")).to_have_count(2)
    expect(page.locator(".sentence")).to_contain_text("chưa chứng minh được")
    page.goto(f"{url}/actions")
    expect(page.locator(".whole .big")).to_contain_text("phút mỗi tuần")
    assert complaints == []


@pytest.mark.browser
def test_the_verified_one_is_shown_on_every_width(url, chromium):
    rows = httpx.get(f"{url}/api/v1/actions", timeout=PATIENCE_S).json()["rows"]
    shown = next(item["id"] for item in rows if item["verdict"] and item["verdict"]["result"] == "verified")
    for lang, width in (("vi", 390), ("en", 1400)):
        context = chromium.new_context(viewport={"width": width, "height": 900})
        context.add_cookies([{"name": "nhip_lang", "value": lang, "url": url}])
        page = context.new_page()
        for path in ("/actions", f"/actions/{shown}", f"/actions/{shown}/edit"):
            page.goto(url + path)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
        page.goto(f"{url}/actions/{shown}")
        expect(page.locator(".plot .dot.beside")).not_to_have_count(0)
        page.goto(f"{url}/actions/0123456789abcdef")
        expect(page.locator(".sorry h1")).to_have_count(1)
        context.close()
