"""The OPC UA adapter with servers whose habits are not those of the library that it uses."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from asyncua import ua
from cryptography import x509
from opcua_habits import NO_TIME, habits
from opcua_plant import device, gathered, has_node_opcua, node_running, until_value
from servers import PATIENCE_S

from adapters.browsing import Walk
from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, NotConnected, Reading, Row
from adapters.opcua import security
from adapters.opcua.adapter import open_device
from adapters.opcua.service import session as sessions
from adapters.opcua.service.browse import browse
from adapters.opcua.service.diagnose import diagnose
from agent.devices.freshness import Freshness
from oee.model.states import Quality

COUNT = {"count": {"node": "nsu=urn:nhip:test;s=count"}}


def counting(port, **changes):
    return device(port, **changes).model_copy(update={"tags": {"count": device(port).tags["count"]}})


async def test_a_session_timeout_of_zero_names_none(monkeypatch):
    """gopcua: asyncua's watchdog then waits 0 s for each answer and ends a connection that is well."""
    async with habits(monkeypatch, session_timeout=0) as server:
        adapter = open_device(counting(server.port, timeout="100ms"), time.time_ns)  # the watchdog asks this often
        await adapter.connect()
        began_s = time.monotonic()
        number = 0
        while time.monotonic() - began_s < 0.5:
            number += 1
            await server.set("count", number)
            await until_value(adapter, "count", number)
        await adapter.close()


async def test_browsing_sends_an_entirely_null_view(monkeypatch):
    """async-opcua takes a null view with a timestamp for a view that it does not have."""
    async with habits(monkeypatch, null_view_only=True) as server:
        found = await browse(server.url, {}, Path(), Walk(), None, lambda _: None)
        assert ("M", "count") in [node.path for node in found.nodes]


async def test_a_refused_service_is_no_cable(monkeypatch):
    async with habits(monkeypatch, null_view_only=True) as server:
        monkeypatch.setattr(sessions, "NO_TIME", sessions.NO_TIME.replace(year=2020))
        with pytest.raises(NotConnected) as caught:
            await browse(server.url, {}, Path(), Walk(), None, lambda _: None)
        fault = connection_fault(caught.value)
        assert (fault.code, fault.values) == ("opcua_refused", {"status": "BadViewIdUnknown"})


@pytest.mark.skipif(not has_node_opcua(), reason="no node-opcua here (scripts/nodeopcua installs it)")
async def test_node_opcua_that_does_not_trust_us_yet_says_so(tmp_path):
    with node_running(tmp_path / "server", untrusting=True) as server:
        asked = device(server.port, security="Basic256Sha256/SignAndEncrypt", timeout="20s")
        asked = asked.with_files("node", tmp_path / "ours")
        adapter = open_device(asked, time.time_ns)
        with pytest.raises(DeviceMisconfigured, match=r"from rejected to trusted|trust it at the server") as caught:
            await adapter.connect()
        await adapter.close()
        assert caught.value.elsewhere
        assert connection_fault(caught.value).code == "opcua_untrusted"
        assert {fault.code for fault in (await diagnose(asked, list(asked.tags))).values()} == {"opcua_untrusted"}
        (rejected,) = (tmp_path / "server" / "pki" / "rejected").iterdir()
        rejected.rename(tmp_path / "server" / "pki" / "trusted" / "certs" / rejected.name)
        until_s = time.monotonic() + PATIENCE_S
        while True:  # until the server has noticed
            try:
                await adapter.connect()
                break
            except DeviceMisconfigured:
                assert time.monotonic() < until_s
                await adapter.close()
                await asyncio.sleep(0.1)
        await gathered(adapter, ["count"])
        await adapter.close()


async def test_a_longer_publishing_interval_is_reported_and_each_value_keeps_its_time(monkeypatch):
    async with habits(monkeypatch, publishing_ms=1000.0) as server:
        adapter = open_device(counting(server.port), time.time_ns)
        await adapter.connect()
        await gathered(adapter, ["count"])
        began = time.time_ns()
        for number in range(1, 6):
            await server.set("count", number, datetime.now(UTC))
            await asyncio.sleep(0.15)
        rows = []
        while not rows or rows[-1].value != 5:
            await asyncio.sleep(0.05)
            reading = await adapter.read()
            rows += reading.rows
        assert reading.granted_s == 1.0
        steps_s = [(two.t_ns - one.t_ns) / 1e9 for one, two in pairwise(rows)]
        assert all(step_s > 0.05 for step_s in steps_s), (steps_s, began)
        await adapter.close()


@pytest.mark.parametrize("when", [NO_TIME, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
async def test_a_time_that_is_none(monkeypatch, when):
    async with habits(monkeypatch) as server:
        adapter = open_device(counting(server.port), time.time_ns)
        await adapter.connect()
        await gathered(adapter, ["count"])
        before_ns = time.time_ns()
        await server.set("count", 5, when)
        row = await until_value(adapter, "count", 5)
        assert row.source_ns is None
        assert before_ns <= row.t_ns <= time.time_ns()
        await adapter.close()


async def test_node_ids_and_guids_are_text_and_bytes_are_named(monkeypatch):
    guid = UUID("72962b91-fa75-4ae6-8d28-b404dc7daf63")
    values = {"state": ua.NodeId(5006, 2), "guid": ua.Variant(guid, ua.VariantType.Guid).Value, "raw": b"\x01\x02"}
    async with habits(monkeypatch, **values) as server:
        tags = {name: {"node": f"nsu=urn:nhip:test;s={name}"} for name in values}
        asked = device(server.port, tags)
        asked = asked.model_copy(update={"tags": {name: asked.tags[name] for name in values}})
        adapter = open_device(asked, time.time_ns)
        await adapter.connect()
        rows = await gathered(adapter, values)
        await adapter.close()
        assert rows["state"][0].value == "nsu=urn:nhip:test;i=5006"
        assert rows["guid"][0].value == str(guid)
        assert (await diagnose(asked, ["raw"]))["raw"].code == "byte_string"


def test_our_certificate_is_valid_for_a_clock_that_is_behind_and_an_expired_one_is_named(tmp_path, monkeypatch):
    certificate, key = tmp_path / "c.der", tmp_path / "c.pem"
    security._make_certificate(certificate, key, "urn:x")
    made = x509.load_der_x509_certificate(certificate.read_bytes())
    assert made.not_valid_before_utc.year == 2000
    assert made.not_valid_after_utc > datetime.now(UTC) + timedelta(days=7000)
    made.verify_directly_issued_by(made)
    security._check_validity("opc.tcp://h", certificate)
    certificate.unlink()
    monkeypatch.setattr(security, "VALID_DAYS", -3650)
    security._make_certificate(certificate, key, "urn:x")
    with pytest.raises(DeviceMisconfigured, match="remove that file") as caught:
        security._check_validity("opc.tcp://h", certificate)
    assert str(certificate) in str(caught.value)
    assert caught.value.elsewhere
    assert connection_fault(caught.value).code == "opcua_certificate_expired"


def test_a_tag_is_stale_after_three_of_the_granted_periods():
    fresh = Freshness({"d": {"n": 5.0}})
    fresh.start(0)
    fresh.fed("d", Reading(10**9, [Row("n", 10**9, 1, Quality.GOOD)], ("n",), None, 10.0))
    assert not fresh.tick(30 * 10**9)
    assert {row.tag: row.quality for row in fresh.tick(31 * 10**9)}["d.n"] is Quality.GAP
    fresh.fed("d", Reading(40 * 10**9, [], ("n",)))
    assert fresh.tick(45 * 10**9), "as configured, once it is granted"
