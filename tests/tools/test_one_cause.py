"""`nhip check`, the agent's log and the center's delivery page name the same cause in the same words, over a real device."""

import asyncio
import json
import sys
from html import unescape
from pathlib import Path

import pytest
from advice_plants import site_of, tcp_device
from servers import free_port
from tools_plant import driven, listen, modbus, run, write_yaml

sys.path.append(str(Path(__file__).parent.parent / "center"))

from api_plant import fill
from center_plant import ns

from agent.reports.status import device_faults
from center.console.delivery import cards
from center.model.viewer import EVERYTHING
from center.queries.gateways import gateways
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from config import load_site
from wire.bodies import MOST_FAULT_TAGS, Status
from words import say

NOW = ns("2026-03-02T10:00:20")
TAGS = {"near": {"holding": 5}, "far": {"holding": 300}}


def site(tmp_path, port, tags, timeout="20s"):
    return write_yaml(tmp_path / "site.yaml", site_of({"plc": tcp_device(port, tags=tags, timeout=timeout)}))


async def watched(path, tmp_path):
    """The status that the agent would send once it knows that something is wrong."""
    async with driven(load_site(path).devices, tmp_path) as round_:
        health = round_.health["plc"]
        await round_.until(lambda: health.fault is not None or health.tag_faults)
        told = Status(
            online=True, at_ns=NOW, devices={"plc": health.condition == "up"}, faults=device_faults(round_.health)
        )
    return Status.model_validate_json(told.model_dump_json())


def card(status, tmp_path, lang):
    """The gateway's card on the delivery page."""
    store = open_store({"file": str(tmp_path / f"nhip-{lang}.duckdb")})
    try:
        center = center_state(store, now_ns=lambda: NOW)
        fill(center)
        center.pictures.record_status("van-long", "main", status, NOW)
        (row,) = gateways(center, EVERYTHING)
        return row, unescape(cards.cards([row], NOW, center.ledger_cache.sites.current("van-long").zone, lang))
    finally:
        store.close()


@pytest.mark.parametrize(
    ("settings", "code", "extent"),
    [
        (None, "port_closed", "device"),
        ({"mode": "junk"}, "other_protocol", "device"),
        ({"dead_units": {3}}, "peer_silent", "device"),
        ({"mode": "unit_1"}, "other_unit_answers", "unit"),
        ({"code": 11}, "gateway_no_answer", "unit"),
        ({"refused": {(3, 300)}}, "illegal_address", "range"),
        ({"ignored": {(3, 300)}}, "range_silent", "range"),
        ({"refused": {(3, 300)}, "refusal": 4}, "device_failure", "range"),
    ],
)
def test_one_cause_in_the_same_words(tmp_path, caplog, settings, code, extent):
    listen(caplog)
    with modbus(**(settings or {})) as server:
        silent = {"dead_units", "ignored"} & (settings or {}).keys()
        port = server.port if settings is not None else free_port()
        path = site(tmp_path, port, TAGS, "300ms" if silent else "20s")
        report = json.loads(run("check", path, "--for", "600ms", "--json").stdout)
        shown = {lang: run("check", path, "--for", "600ms", lang=lang).stdout for lang in ("vi", "en")}
        status = asyncio.run(watched(path, tmp_path))
    tag = next(item for item in report["tags"] if item["tag"] == "plc.far")
    assert [(item["code"], item["extent"]) for item in tag["faults"]] == [(code, extent)]
    (fault,) = status.faults
    assert (fault.code, fault.extent, fault.tags) == (code, extent, ["far"] if extent == "range" else [])
    known = {name: fault.values.get(name) for name in ("code", "asked", "answered", "protocol")}
    for lang in ("vi", "en"):
        sentence = say(f"fault.{code}", lang, **known)
        row, page = card(status, tmp_path, lang)
        assert sentence in shown[lang]
        assert sentence in page
        assert say(f"fault.{code}.causes", lang) in shown[lang]
        assert say(f"fault.{code}.causes", lang) in page
        assert row["devices"] == {"plc": extent == "range"}
        assert say("delivery.trouble.devices", lang, names="plc") not in page, "it is said once, with its cause"
    lines = [record.getMessage() for record in caplog.records if record.name == "nhip.devices"]
    begin = "tags not readable: device=plc tags=far" if extent == "range" else "device lost: device=plc"
    assert lines[0].startswith(f"{begin} fault={code} what={say(f'fault.{code}', 'en', **known)!r}")


def test_many_tags_of_one_cause_are_one_line(tmp_path, caplog):
    listen(caplog)
    tags = {f"t{at}": {"holding": at} for at in range(300, 320, 2)} | {"near": {"holding": 5}}
    with modbus(refused={(3, at) for at in range(300, 320)}) as server:
        status = asyncio.run(watched(site(tmp_path, server.port, tags), tmp_path))
    (fault,) = status.faults
    assert (fault.count, len(fault.tags)) == (10, MOST_FAULT_TAGS)
    assert fault.values == {"code": "2", "unit": "3", "table": "holding", "function": "3"}, "what all of them share"
    _, page = card(status, tmp_path, "en")
    assert "plc, 10 tags (" in page
    assert len([record for record in caplog.records if "tags not readable" in record.getMessage()]) == 1


def test_what_a_newer_gateway_names_is_shown_and_cut(tmp_path):
    odd = {"device": "d" * 1000, "code": "q" * 1000, "values": {"x" * 1000: "y" * 1000}, "count": 10**15}
    status = Status.model_validate({"online": True, "at_ns": NOW, "faults": [odd] * 1000})
    row, page = card(status, tmp_path, "en")
    assert len(row["faults"]) == 50
    assert "q" * 60 in page
    assert "q" * 61 not in page
