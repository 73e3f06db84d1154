"""Centers of several sites whose every text names its site, and requests drawn from the API's own description."""

import shutil
import tempfile
from datetime import date
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from center_plant import MINUTE_NS, STREAM, envelope, ns, running, site_body
from hypothesis import strategies as st

from center.contract.ledger import Changes
from center.database.actions import comment, new_action, prepare_actions
from center.database.benchmark import FIGURES, Consent, OwnFigure, PublishedTable, publish, say_consent
from center.database.directory import Firm, put_firm
from center.database.findings import advance
from center.database.month_papers import MonthObjective, MonthReference, write_paper
from center.database.sql import writing
from center.database.statements import Opening, Statement, add_statement, opened
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.planning.planner import plan_messages
from center.outgoing.benchmark.quarters import QuarterTable, TableCell, digest_of_table, written
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.advice.finding import Finding, FindingEvidence, Gain
from oee.advice.gain.action import ActionRecord, ActionTerms
from oee.advice.gain.plan import Days, GainPlan
from oee.advice.life import FindingRecord
from oee.model.facts import Stop
from oee.model.states import State
from wire.bodies import Live, LiveMachine, Notice, Status
from wire.topics import Topic

SITES = ("an-phat", "hoa-binh", "song-hong")
T = ns("2026-03-02T08:00:00")
NOW_NS = ns("2026-03-02T10:00:20")
MOMENTS = ("2026-03-02", "2026-03-02T08:00:00+07:00", "2026-03-02T09:30:00+07:00", "2026-03-03")
GROUPS = ("machine", "shift", "product", "calendar", "state", "reason", "machine,shift", "machine,state,reason", "")
WORDS = {
    "from": MOMENTS,
    "to": MOMENTS,
    "by": GROUPS,
    "bucket": ("hour", "shift", "day", "all"),
    "formula": ("", "nakajima", "iso22400"),
    "finding": ("0123456789abcdef",),
    "action": ("0123456789abcdef",),
    "file": ("0123456789abcdef",),
    "task": ("0123456789abcdef",),
    "firm": ("0123456789abcdef",),
    "code": ("0101234569",),
    "trade": ("metal", ""),
    "kind": ("press", "injection", ""),
    "kinds": ("press",),
    "q": ("", "firm", "goods"),
    "statement": ("0123456789abcdef",),
    "quarter": ("", "2025-Q4", "2026-Q1"),
    "since": ("2026-02",),
    "month": ("2026-02", "2026-01", "2026-03"),
    "gateway": (*(f"{site}-gate" for site in SITES), "main"),
}


_MADE = tempfile.TemporaryDirectory()
"""A file of DuckDB for each choice of sites that this process has asked for."""


def make(folder, sites, name):
    """A center that knows these sites alone; the numbers of each are the same wherever it stands. Its file is written once in a
    process and copied from then on.
    """
    made = Path(_MADE.name) / "+".join(["of", *sites])
    if not made.exists():
        center = _opened(made.with_suffix(".part"))
        known = Changes(generation="same")
        center.commit((), known)
        center.ledger_cache.adopt(known)
        for site in sites:
            _fill(center, site, SITES.index(site) + 1)
        center.store.close()
        made.with_suffix(".part").rename(made)
    shutil.copy(made, folder / f"{name}.duckdb")
    center = _opened(folder / f"{name}.duckdb")
    for site in sites:
        _speak(center, site, SITES.index(site) + 1)
    return center


def _opened(file):
    return center_state(open_store({"file": str(file)}), now_ns=lambda: NOW_NS)


def said_at(site):
    """What people at a site's machines said; the call's id is the same everywhere."""
    lathe = f"{site}-lathe"
    return [
        Notice(id="c", at_ns=T, machine="press", kind="call", about=f"{site}-crane", by=f"andon/{site}"),
        Notice(id="s", at_ns=T + MINUTE_NS, machine="press", kind="step", about="arrived", of="c", by=f"andon/{site}"),
        Notice(id=f"{site}-d", at_ns=T, machine=lathe, kind="call", about="quality", by="andon/x"),
        Notice(id=f"{site}-n", at_ns=T, machine="press", kind="note", text=f"{site} note", by="andon/x"),
        Notice(id=f"{site}-r", at_ns=T, machine=lathe, kind="rejects", about=f"{site}-burr", count=3, by="andon/x"),
    ]


def found_at(engine, site):
    """A confirmed finding on a machine that every site has."""
    proof = FindingEvidence(T, NOW_NS, (), 3, {"repair_min": (1.0, 2.0)}, (f"{site}-1",))
    figures = {"n": 3, "longest": 1, "share": 0.7, "median_min": 4.0, "p75_min": 9.0, "p90_min": 20.0}
    losses = frozenset({"breakdown"})
    item = Finding("long_repair", 2, "press", ("machine",), True, None, figures, Gain(20.0, 90.0), losses, proof)
    record = FindingRecord(item, "open", T, T, T, Gain(20.0, 90.0), Gain(20.0, 90.0))
    advance(engine, T, site, "press", lambda _: [record])


def acted_at(engine, site):
    """An action on that machine, drafted and commented."""
    month = [Days(date(2026, k, 1), date(2026, k, 28)) for k in (1, 2, 3)]
    plan = GainPlan(site, ("press",), "oee", "", month[0], Days(date(2026, 2, 1), date(2026, 2, 2)), month[2])
    record = ActionRecord(ActionTerms(f"{site}-checklist", f"{site}-lan"), plan)
    prepare_actions(engine)
    number = sha256(site.encode()).hexdigest()[:16]  # the same wherever the site stands
    with patch("center.database.actions.secrets.token_hex", lambda _: number):
        item = new_action(engine, site, record, f"{site}-minh", T, lambda *_: None)
    comment(engine, item, f"{site}-said", f"{site}-mai", T, lambda *_: None)


def consented_at(engine, site):
    """The benchmark's consent of a site with its own figure of a quarter, objectives and papers of its monthly reports."""
    say_consent(engine, Consent(site, True, f"{site}-owner", T), lambda *_: None)
    value_u = 600_000 + 1000 * SITES.index(site)
    figure = OwnFigure("2025-Q4", site, "press", "oee", "metal", 1000, value_u, value_u - 1, value_u + 1, 10**6)
    with writing(engine) as connection:
        connection.execute(FIGURES.insert().values(**vars(figure)))
    write_paper(engine, MonthObjective(site, "press", "mtbf_s", "2025-01", 10**6, f"{site}-lan", T), lambda *_: None)
    write_paper(engine, MonthReference(site, "parts", f"{site}-list", "A", "1", "x", f"{site}-lan", T), lambda *_: None)


def stated_at(engine, site):
    """A capability statement of a site, and its opening; its number."""
    number = sha256(f"statement {site}".encode()).hexdigest()[:16]
    content = f'"{site}"'.encode()
    item = Statement(
        number,
        site,
        f"{site}-buyer",
        f"{site}-audit",
        NOW_NS * 2,
        T,
        f"{site}-owner",
        0,
        "",
        sha256(content).hexdigest(),
    )
    files = {lang: f"{site}-file".encode() for lang in ("vi", "en")}
    add_statement(engine, item, f"{site}-secret", content, files, lambda *_: None)
    opened(engine, Opening(number, T, "page", f"{site}-address"))
    return number


def listed_at(engine, site):
    """A site's own entry in the directory, which nobody else may see; its id is the same everywhere."""
    _listed(engine, site, site, f"{site}-firm", shown=False)


def listed_by(engine):
    """Firms that are not connected, the same at every center: one that everybody may see, and one of the center's."""
    _listed(engine, "", "0101234567", "shown-firm", shown=True)
    _listed(engine, "", "0101234568", "other-firm", shown=False)


def _listed(engine, site, code, name, *, shown):
    firm = Firm("", site, code, name, "metal", "", ("press",), (f"{name}-goods",), (), shown, f"{name}-owner", T)
    with patch("center.database.directory.secrets.token_hex", lambda _: sha256(name.encode()).hexdigest()[:16]):
        put_firm(engine, firm, lambda *_: None)


def published_by(engine):
    """A quarter's table, the same at every center: it holds nothing of one site."""
    cell = TableCell(trade="metal", kind="press", measure="oee", sites="6-9", p25_u=1, p50_u=2, p75_u=3)
    content = written(QuarterTable(format=1, quarter="2025-Q4", cells=(cell,)))
    table = PublishedTable("2025-Q4", digest_of_table(content), T, content)
    publish(engine, table, (2025, ()), (), lambda *_: None)


def machines(site):
    """`press` is a machine of every site."""
    return ["press", f"{site}-lathe"]


def _fill(center, site, number):
    product, reason = f"{site}-part", f"{site}-jam"
    rows, lost, stops = [], [], []
    for machine in machines(site):
        rows += running(T, 30 + number, machine, product=product)
        at = T + 40 * MINUTE_NS
        rows += [{"machine": machine, "t": at, "product": product, "breakdown_ms": 60_000}]
        lost += [
            {"machine": machine, "t": at, "product": product, "state": State.BREAKDOWN, "reason": reason, "ms": 60_000}
        ]
        stops += [
            Stop(machine, f"{site}-1", at, at + MINUTE_NS, State.BREAKDOWN, reason, f"{site}-man", product, "", 1)
        ]
    body = site_body(machines(site), valid_from=ns("2026-03-02"), name={"vi": f"{site} vi", "en": f"{site} en"})
    body["products"] = {product: {"name": {"vi": product, "en": product}, "ideal_s": 4.0, "source": "design"}}
    body["reasons"] = {reason: {"name": {"vi": reason, "en": reason}, "state": "breakdown"}}
    gateway = f"{site}-gate"
    for kind, payloads in (
        ("site", [envelope(1, content=body, stream="bb" * 8)]),
        ("facts", [envelope(1, rows, lost, stops, stream=STREAM), envelope(5, content={}), f"{site} noise".encode()]),
    ):
        messages = [EnvelopeMessage(Topic(site, gateway, kind), payload) for payload in payloads]
        plan = plan_messages(center.ledger_cache, messages, T + number)
        center.commit(plan.batches, plan.changes())
        center.ledger_cache.adopt(plan.changes())


def _speak(center, site, number):
    product, gateway = f"{site}-part", f"{site}-gate"
    said = {machine: LiveMachine(state="running", since_ns=T, product=product, shift="A") for machine in machines(site)}
    center.pictures.record_live(site, gateway, Live(at_ns=NOW_NS, machines=said), NOW_NS)
    center.pictures.record_status(site, gateway, Status(online=True, at_ns=NOW_NS, waiting=number), NOW_NS)


def operations(description):
    """(method, path, what is asked for) of everything that the description has."""
    return [
        (method.upper(), path, operation)
        for path, item in sorted(description["paths"].items())
        for method, operation in item.items()
    ]


class Asker:
    """Draws requests for an operation. foreign: sites that every site in the request comes from, None for any; numbers: by kind and
    site ids of what there is, of which the foreign ones are asked for as well.
    """

    def __init__(self, draw, description, foreign=None, numbers=None):
        self._draw, self._description, self._numbers = draw, description, numbers or {}
        self._sites = foreign or (*SITES, "nowhere")
        self.named_a_site = False

    def request(self, operation):
        """Path values, query and JSON body."""
        parts, query = {}, []
        for parameter in operation.get("parameters", ()):
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                parts[name] = self._value(name, parameter["schema"])
            elif place == "query" and (parameter.get("required") or self._draw(st.booleans())):
                found = self._value(name, parameter["schema"])
                query += [(name, item) for item in (found if isinstance(found, list) else [found])]
        content = operation.get("requestBody", {}).get("content", {})
        described = content.get("application/json", {}).get("schema")
        return parts, query, self._value("", described) if described else {}

    def _value(self, name, schema):
        schema = self._resolved(schema)
        if name in ("site", "sites"):
            self.named_a_site = True
            site = self._draw(st.sampled_from(self._sites))
            return [site] if schema.get("type") == "array" else site
        if schema.get("type") == "array":
            return [self._value(name, schema.get("items", {}))]
        if schema.get("type") == "object" or "properties" in schema:
            return {key: self._value(key, item) for key, item in schema.get("properties", {}).items()}
        if "enum" in schema or "const" in schema:
            return self._draw(st.sampled_from(schema.get("enum") or [schema["const"]]))
        if schema.get("type") in ("integer", "number"):
            return self._draw(st.integers(1, 12))
        if schema.get("type") == "boolean":
            return self._draw(st.booleans())
        there = [number for site in self._sites for number in self._numbers.get(name, {}).get(site, ())]
        return self._draw(st.sampled_from([*WORDS.get(name, ()), *there] or self._names()))

    def _resolved(self, schema):
        while True:
            if "$ref" in schema:
                schema = self._description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            elif "anyOf" in schema:
                schema = schema["anyOf"][0]
            else:
                return schema

    def _names(self):
        mine = [machine for site in self._sites for machine in machines(site)]
        return sorted({*mine, *(f"{site}-gate" for site in self._sites), *(f"{site}-1" for site in self._sites)})


def fields_away(answer, names=("id", "time")):
    """An answer without what may differ from center to center: running numbers of the quarantine, the clock."""
    if isinstance(answer, dict):
        return {key: fields_away(value, names) for key, value in answer.items() if key not in names}
    return [fields_away(item, names) for item in answer] if isinstance(answer, list) else answer
