"""Metrics for Prometheus at GET /metrics."""

import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import Response
from prometheus_client.core import Metric

from center.api.access import Watching
from center.contract.store import StoreUnavailable
from center.runtime.state import CenterState
from wire.marks import holes
from wire.prometheus import CONTENT_TYPE, by_label, counter, gauge, labelled, render

_UP, _UP_HELP = "nhip_center_up", "1 while this part of the center works."
_OF_THE_PORT: Final = {
    "connections_refused": "Connections refused because one address or all together had too many.",
    "heads_late": "Connections closed because no handshake or request came in time.",
    "answers_unread": "Connections closed because the peer did not read what it had asked for.",
    "files_short": "Times that no connection could be accepted for lack of files or memory.",
}
_OWN_METRIC: Final = {"fact_rows", "let_go", "store_away", *_OF_THE_PORT}


def add_metrics(app: FastAPI, center: CenterState) -> None:
    """The route. Other parts of the center put functions into `app.state.more_metrics` that give theirs."""
    more: list[Callable[[], Sequence[Metric]]] = []
    app.state.more_metrics = more

    @app.get("/metrics", include_in_schema=False)
    def metrics(_viewer: Watching) -> Response:
        others = [metric for give in more for metric in give()]
        told = [*_ingest(center), *_streams(center), *_gateways(center), *others, *_process()]
        return Response(render(told), 200, {}, CONTENT_TYPE)


def waiting_metrics(refusals: int) -> str:
    """The metrics of a center that waits at its start. refusals: how often what it needs has refused."""
    up = {"store": 0.0, "broker": 0.0}
    return render(
        [
            by_label(_UP, "gauge", _UP_HELP, "part", up),
            gauge("nhip_center_starting", "1 while the center waits for its store or its database.", 1.0),
            counter("nhip_center_starts_refused_total", "How often the start was tried in vain.", refusals),
            *_process(),
        ]
    )


def _ingest(center: CenterState) -> list[Metric]:
    counts, conditions = center.health.counts(), center.health.conditions()
    store_up, quarantined, overfull = True, None, None
    try:
        quarantined = float(center.ledger.quarantined("", 1)[1])
        overfull = float(len(center.ledger.overfull()))
    except StoreUnavailable:
        store_up = False
    return [
        by_label(
            _UP,
            "gauge",
            _UP_HELP,
            "part",
            {
                "store": float(store_up and conditions.get("store", "ok") == "ok"),
                "broker": float(conditions.get("broker") == "ok"),
            },
        ),
        by_label(
            "nhip_center_ingest_total",
            "counter",
            "Messages received since the start, by outcome.",
            "outcome",
            {name: number for name, number in counts.items() if name not in _OWN_METRIC},
        ),
        counter("nhip_center_fact_rows_total", "Fact rows written to the store.", counts.get("fact_rows", 0)),
        counter(
            "nhip_center_let_go_total",
            "Messages discarded because the queue was full; gateways send them again.",
            counts.get("let_go", 0),
        ),
        counter(
            "nhip_center_store_refusals_total",
            "Writes that failed because the store was unavailable.",
            counts.get("store_away", 0),
        ),
        *(counter(f"nhip_center_{name}_total", about, counts.get(name, 0)) for name, about in _OF_THE_PORT.items()),
        gauge("nhip_center_quarantined", "Payloads in quarantine.", quarantined),
        gauge("nhip_center_overfull_minutes", "Machine-minutes that hold more than 60,000 ms.", overfull),
    ]


def _streams(center: CenterState) -> list[Metric]:
    by_name: dict[str, list[tuple[dict[str, str], float]]] = {}
    for key, state in sorted(center.ledger_cache.streams.items(), key=lambda item: (item[0].site, item[0].gateway)):
        labels = {"site": key.site, "gateway": key.gateway, "kind": state.kind, "stream": key.stream}
        missing = sum(last - first + 1 for first, last in holes(state.marks))
        values = {"mark": state.marks.mark, "holes": missing, "seen": state.seen_ns / 1e9}
        values |= {
            name: getattr(state, name) for name in ("stored", "quarantined", "dropped", "duplicates", "conflicts")
        }
        for name, value in values.items():
            by_name.setdefault(name, []).append((labels, float(value)))
    about = {
        "mark": "Every envelope up to it is settled.",
        "holes": "Envelopes missing below others that are settled.",
        "seen": "When an envelope was received last, in seconds since 1970.",
    }
    names = {"mark": "stream_mark", "holes": "stream_holes", "seen": "stream_seen_timestamp_seconds"}
    return [
        labelled(
            f"nhip_center_{names.get(name, f'stream_{name}')}",
            "gauge",
            about.get(name, f"Envelopes of the stream: {name}."),
            samples,
        )
        for name, samples in by_name.items()
    ]


def _gateways(center: CenterState) -> list[Metric]:
    now_ns = center.now_ns()
    online, waiting, error, trusted = [], [], [], []
    for site in sorted({*center.ledger_cache.sites.ids(), *center.pictures.sites()}):
        for gateway in center.pictures.gateways(site):
            picture, labels = center.pictures.get(site, gateway), {"site": site, "gateway": gateway}
            online.append((labels, float(picture.online(now_ns))))
            if picture.status:
                waiting.append((labels, float(picture.status.waiting)))
                if clock := picture.status.clock:
                    error.append((labels, clock.error_s))
                    trusted.append((labels, float(clock.by != "nobody")))
    return [
        labelled("nhip_center_gateway_online", "gauge", "1 while the gateway is connected and sending.", online),
        labelled(
            "nhip_center_gateway_waiting", "gauge", "Envelopes in the gateway's outbox without a receipt.", waiting
        ),
        labelled(
            "nhip_center_gateway_clock_error_seconds",
            "gauge",
            "Gateway time minus the latest time of a trusted source.",
            error,
        ),
        labelled(
            "nhip_center_gateway_held_back_total",
            "counter",
            "Messages that were not taken, since the gateway sent more than its budget; it sends them again.",
            [({"site": site, "gateway": name}, float(n)) for (site, name), n in center.budgets.refusals().items()],
        ),
        labelled("nhip_center_gateway_clock_trusted", "gauge", "1 while the gateway's time is confirmed.", trusted),
    ]


def _process() -> list[Metric]:
    times = os.times()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        rss = pages * resource.getpagesize()
    except OSError:
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return [
        gauge("process_resident_memory_bytes", "Resident memory.", rss),
        counter("process_cpu_seconds_total", "CPU time, user and system.", times.user + times.system),
    ]
