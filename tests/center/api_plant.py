"""A center with a morning that a person can work out by hand."""

from dataclasses import replace

from center_plant import envelope, losses, ns, running, site_body

from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.planning.planner import plan_messages
from oee.model.facts import MINUTE_NS, Stop
from oee.model.states import State
from wire.topics import Topic

T = ns("2026-03-02T08:00:00")
WINDOW = {"from": "2026-03-02T08:00:00+07:00", "to": "2026-03-02T10:00:00+07:00"}


def deliver(center, site, kind, payloads):
    """Envelopes as if they came over MQTT from the site's gateway main."""
    plan = plan_messages(
        center.ledger_cache, [EnvelopeMessage(Topic(site, "main", kind), payload) for payload in payloads], T
    )
    center.commit(plan.batches, plan.changes())
    center.ledger_cache.adopt(plan.changes())


def fill(center, site="van-long"):
    """press-1: an hour in shift A, of which half an hour ran, a quarter broke down, and a quarter nobody saw;
    press-2 is named and silent."""
    stop = Stop("press-1", "s1", T + 30 * MINUTE_NS, None, State.BREAKDOWN, "", "plc", "1", "", 0)
    told = replace(stop, end_ns=T + 45 * MINUTE_NS, reason="kẹt khuôn", revision=1)
    rows = running(T, 30)
    rows += [{"t": T + minute * MINUTE_NS, "breakdown_ms": 60_000} for minute in range(30, 45)]
    rows += [{"t": ns("2026-03-02T10:05:00"), "calendar": 1, "running_ms": 60_000, "pieces_total": 5}]
    lost = [
        {"t": T + minute * MINUTE_NS, "state": State.BREAKDOWN, "reason": "kẹt khuôn", "ms": 60_000}
        for minute in range(30, 45)
    ]
    body = site_body(["press-1", "press-2"], valid_from=ns("2026-03-02"))
    for kind, payloads in (
        ("site", [envelope(1, content=body, stream="bb" * 8)]),
        ("facts", [envelope(1, rows, lost, [stop, told]), envelope(3, content={}), b"noise"]),
    ):
        deliver(center, site, kind, payloads)
    assert losses(lost).sums.sum() == 900_000
