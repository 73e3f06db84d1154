"""A stop's way through everybody's day, with a gateway that lives: from the PLC to the tablet, the center's pages, an alert,
a reason that is given, taken back and given again, the Pareto, the shift report, its PDF and its mail. In both languages, on
phones and screens, each on a machine of its own.
"""

import io
import re
import signal
import socket
from contextlib import closing, contextmanager
from datetime import datetime
from urllib.parse import urlencode

import pytest
from console_browser import Plant, quiet_tabs
from live_plant import MACHINES, REASONS, SITE, Chain
from playwright.sync_api import expect
from pypdf import PdfReader
from servers import PATIENCE_S, eventually
from test_report_mails import Post

from words import LANGUAGES, refusal, say

pytestmark = pytest.mark.browser
WALKS = dict(zip([(lang, width) for lang in LANGUAGES for width in (390, 1400)], MACHINES, strict=True))
"""Whose screen it is, and which machine is walked."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The chain, whose machines ran and have stood still since; two seconds of that are an alert."""
    made = Chain(tmp_path_factory.mktemp("live"))
    with made.stack:
        made.runs(*MACHINES, run=False)
        eventually(lambda: len(made.ask("alerts")["rows"]) == len(MACHINES))
        yield made


class Walk:
    """A person's screen. machine: that is walked; reason, other: names as this person reads them."""

    def __init__(self, chain, chromium, lang, width, machine):
        self.chain, self.lang, self.width, self.machine = chain, lang, width, machine
        self.name = MACHINES[machine][lang]
        self.jam, self.late = (REASONS[key]["name"][lang] for key in ("jam", "late"))
        self.chromium = chromium
        self._tabs = quiet_tabs(Plant(chain.url, None), chromium)
        self._open = self._tabs.__enter__()

    def close(self):
        self._tabs.__exit__(None, None, None)

    def enter(self, person):
        page = self._open("/login", self.lang, self.width, complain=False)
        page.fill("[name=name]", person)
        page.fill("[name=password]", self.chain.passwords[person])
        page.get_by_role("button", name=say("login.go", self.lang)).click()
        page.wait_for_url(f"{self.chain.url}/")
        return page

    @contextmanager
    def tablet(self):
        """The page at the machine, on a tablet of its own."""
        kept = f"{{tablet: 'may-dap', machines: [], lang: '{self.lang}', theme: 'light'}}"
        with self.chromium.new_context(viewport={"width": self.width, "height": 900}, has_touch=True) as context:
            context.add_init_script(f"localStorage['nhip.tablet'] = JSON.stringify({kept})")
            page = context.new_page()
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"{self.chain.andon}/#/m/{self.machine}")
            page.wait_for_selector("main.machine .hero")
            yield page
            assert complaints == []

    def goto(self, page, path, shown):
        page.goto(self.chain.url + path)
        page.wait_for_selector(shown)
        assert page.evaluate("document.documentElement.scrollWidth") <= self.width

    def stop(self):
        """The stop that is walked, once it is over, as the API has it: on a busy machine there may be short ones beside it."""
        rows = self.chain.ask("stops", site=SITE, machine=self.machine, **{"from": self.chain.day})["rows"]
        over = [row for row in rows if row["end"] and row["state"] != "unknown"]
        return max(over, key=_length, default=None)


def _length(row):
    return datetime.fromisoformat(row["end"]) - datetime.fromisoformat(row["start"])


@pytest.fixture(params=WALKS, ids=str)
def walk(request, chain, chromium):
    made = Walk(chain, chromium, *request.param, WALKS[request.param])
    yield made
    made.close()


def test_a_stop_is_told_taken_on_and_over(walk):
    """The shift leader at the center, before the stop has ended."""
    chain, lang = walk.chain, walk.lang
    assert eventually(lambda: chain.hook.titles)
    page = walk.enter("hung")
    card = page.locator("a.card", has_text=walk.name)
    expect(card).to_have_class(re.compile("s-unplanned_stop"))
    walk.goto(page, "/alerts", "#open")
    row = page.locator("#open li", has_text=walk.name)
    row.get_by_role("button", name=say("alert.take", lang)).click()
    expect(page.locator("#taken li", has_text=walk.name)).to_contain_text("hung")
    chain.runs(walk.machine, run=True)
    eventually(lambda: [row for row in chain.ask("alerts", state="past")["rows"] if row["machine"] == walk.machine])
    page.reload()
    expect(page.locator("#past li", has_text=walk.name)).to_be_visible()


def test_a_reason_from_the_center_is_followed_and_taken_back_and_the_tablet_gives_another(walk):
    lang, machine = walk.lang, walk.machine
    stop = eventually(walk.stop)
    page = walk.enter("hung")
    walk.goto(page, f"/machine/{SITE}/{machine}?span=today&stops=unexplained", "table.stops .explain")
    row = page.locator("table.stops tbody tr", has_text=datetime.fromisoformat(stop["start"]).strftime("%H:%M:%S"))
    row.locator(".explain").click()
    asked = page.locator(".ask")
    expect(asked).to_contain_text(say("console.declare.ask.reason", lang))
    asked.locator(".pick", has_text=walk.jam).click()
    asked.get_by_role("button", name=say("console.declare.send", lang)).click()
    became = page.locator(".became")
    expect(became).to_contain_text(say("console.declared.done", lang))  # by itself: the page is not reloaded here
    eventually(lambda: walk.stop()["reason"] == "jam")
    assert walk.stop()["id"] == stop["id"]
    page.reload()
    expect(page.locator("ul.rows li", has_text=walk.jam)).to_have_count(1)  # a form that is sent is sent once
    with walk.tablet() as tablet:
        asked = tablet.locator(f".question[data-with*='{stop['id']}'], .question [data-with*='{stop['id']}']")
        expect(asked).to_have_count(0)
        page.get_by_role("button", name=say("console.declare.take_back", lang)).click()
        expect(became).to_contain_text(say("console.declared.done", lang))
        eventually(lambda: walk.stop()["reason"] == "")
        asked.first.click()
        tablet.locator("[data-act=choose]", has_text=walk.late).click()
        expect(asked).to_have_count(0)
        eventually(lambda: walk.stop()["reason"] == "late")
    assert "may-dap" in walk.stop()["by"]


def test_what_the_gateway_cannot_follow_is_refused_and_says_why(walk):
    """Two entries of rejects that overlap in part."""
    chain, lang = walk.chain, walk.lang
    page, day = walk.enter("hung"), chain.day
    for begin, end in (("01:00", "02:00"), ("01:30", "02:30")):
        walk.goto(page, f"/declare/{SITE}/{walk.machine}?field=rejects", "details[open] [name=value]")
        form = page.locator("details[open] form")
        form.locator("[name=value]").fill("0")
        form.locator("[name=from]").fill(f"{day}T{begin}")
        form.locator("[name=to]").fill(f"{day}T{end}")
        form.get_by_role("button", name=say("console.declare.send", lang)).click()
        told = "console.declared.done" if begin == "01:00" else "console.declared.refused"
        expect(page.locator(".became")).to_contain_text(say(told, lang))
    [row] = [
        row for row in chain.ask("declarations", site=SITE, machine=walk.machine)["rows"] if row["state"] == "refused"
    ]
    expect(page.locator(".became")).to_contain_text(refusal(row["why"], chain.zone, lang))


def test_the_stop_is_in_the_pareto_the_report_and_its_pdf(walk):
    """A production manager, with the numbers of the API."""
    chain, lang, machine = walk.chain, walk.lang, walk.machine

    def lost():
        rows = chain.ask("losses", site=SITE, machine=machine, **{"from": chain.day})["rows"]
        return [row for row in rows if row["reason"] == "late"]

    [loss] = eventually(lost, every_s=0.3)  # after the minute in which it was
    stop = walk.stop()
    page = walk.enter("lan")
    walk.goto(page, f"/machine/{SITE}/{machine}?span=today", ".pareto a")
    expect(page.locator(".pareto a", has_text=walk.late)).to_have_count(1)
    walk.goto(page, f"/losses?site={SITE}&span=today", ".top-losses a")
    expect(page.locator(".top-losses")).to_contain_text(walk.late)
    path = f"/report/{SITE}?date={chain.day}&shift=A"
    walk.goto(page, path, ".report-tiles")
    expect(page.locator("main.page")).to_contain_text(walk.late)
    told = chain.ask("report", site=SITE, date=chain.day, shift="A")
    answer = page.request.get(chain.url + page.get_by_role("link", name=say("report.pdf", lang)).get_attribute("href"))
    text = "".join(part.extract_text() for part in PdfReader(io.BytesIO(answer.body())).pages)
    for shown in (text, page.locator("main.page").inner_text()):
        assert walk.late in shown
        assert walk.name in shown
    assert loss["ms"] > 0
    assert (machine, stop["start"], "late") in [
        (row["machine"], row["start"], row["reason"]) for row in told["longest"]
    ]


def test_an_administrator_finds_who_did_what_and_which_channel_is_broken(walk):
    lang = walk.lang
    page = walk.enter("hoa")
    walk.goto(page, "/alerts", "#channels")
    broken, works = (page.locator("#channels li", has=page.get_by_text(name, exact=True)) for name in ("cu", "bao-tri"))
    expect(broken.locator(".bad")).to_have_count(1)
    expect(works.locator(".good")).to_have_count(1)
    walk.goto(page, "/admin/audit", "main.page table, main.page .rows")
    expect(page.locator("main.page")).to_contain_text(f"{SITE}/{walk.machine}")
    walk.goto(page, f"/delivery?site={SITE}", ".coverage")
    expect(page.locator("main.page")).to_contain_text(say("delivery.title", lang))


def test_a_center_that_is_killed_between_taking_a_form_and_answering_has_taken_it_once(chain):
    """Whoever gets no answer sends the form again."""
    page = f"/declare/{SITE}/m-4"
    with closing(chain.client()) as client:
        (key,) = set(re.findall(r'name="key" value="([0-9a-f]{32})"', client.get(page).text))
        form = {"field": "rejects", "value": "0", "from": f"{chain.day}T03:00", "to": f"{chain.day}T04:00", "key": key}
        body, cookies = urlencode(form), "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        head = f"POST {page} HTTP/1.1\r\nHost: 127.0.0.1:{chain.center.port}\r\nCookie: {cookies}\r\n"
        head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", chain.center.port)) as line, closing(chain.database()) as database:
            line.sendall((head + body).encode())
            taken = "select count(*) from declarations where id = ?"
            eventually(lambda: database.execute(taken, (key,)).fetchone() == (1,), every_s=0)
            chain.center.restart(signal.SIGKILL)
        answer = client.post(page, data=form)
        assert answer.status_code == 303
        eventually(
            lambda: say("console.declared.done", "vi") in client.get(answer.headers["location"]).text, every_s=0.2
        )
        rows = client.get("/api/v1/declarations", params={"site": SITE, "machine": "m-4"}).json()["rows"]
    assert [row["state"] for row in rows if row["start"][11:16] == "03:00"] == ["done"]


def test_the_mail_about_the_shift_has_the_reasons(chain):
    """Once the shift in which all began is over, and a server takes mail."""
    with Post(chain.mail_port) as post:
        [(recipients, mail, _)] = eventually(lambda: list(post.got), 4 * PATIENCE_S, every_s=0.3)
    assert recipients == ["lan@example.vn"]
    assert "Ca A" in mail["Subject"]
    [attached] = mail.iter_attachments()
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(attached.get_content())).pages)
    for shown in (text, mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()):
        assert REASONS["late"]["name"]["vi"] in shown
        assert REASONS["jam"]["name"]["vi"] not in shown, "that was taken back"
