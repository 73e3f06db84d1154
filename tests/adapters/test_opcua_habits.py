"""The OPC UA adapter with servers whose habits are not those of the library that it uses."""

import time
from pathlib import Path

import pytest
from opcua_habits import habits
from opcua_plant import device, gathered, has_node_opcua, node_running, until_value

from adapters.browsing import Walk
from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.opcua.adapter import open_device
from adapters.opcua.service import session as sessions
from adapters.opcua.service.browse import browse
from adapters.opcua.service.diagnose import diagnose, fault_of

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
        monkeypatch.setattr(sessions, "_NO_TIME", sessions._NO_TIME.replace(year=2020))
        with pytest.raises(NotConnected) as caught:
            await browse(server.url, {}, Path(), Walk(), None, lambda _: None)
        fault = connection_fault(caught.value, fault_of)
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
        assert connection_fault(caught.value, fault_of).code == "opcua_untrusted"
        assert {fault.code for fault in (await diagnose(asked, list(asked.tags))).values()} == {"opcua_untrusted"}
        (rejected,) = (tmp_path / "server" / "pki" / "rejected").iterdir()
        rejected.rename(tmp_path / "server" / "pki" / "trusted" / "certs" / rejected.name)
        await adapter.connect()
        await gathered(adapter, ["count"])
        await adapter.close()
