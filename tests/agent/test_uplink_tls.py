"""Encrypted lines: an authority of one's own, certificates instead of passwords, MQTT 5 and 3.1.1."""

import ssl
from unittest.mock import AsyncMock

import edge_brokers as brokers
import pytest
from certificates import Authority
from test_uplink import running, until

from agent.uplink.mqtt.probe import Probe
from agent.uplink.mqtt.session import MQTT311
from wire.topics import account, center_rules, gateway_rules

TLS = """allow_anonymous true
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
"""
CERTIFICATES = f"{TLS}require_certificate true\nuse_identity_as_username true\nacl_file {{folder}}/acl\n"


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    made.issue("server")
    return made


async def test_an_authority_of_ones_own(tmp_path, authority, caplog):
    with brokers.mosquitto(tmp_path, TLS.format(folder=tmp_path)) as broker:
        async with running(tmp_path / "o.db", broker.port, tls=True, ca_file=authority.file) as gateway:
            gateway.commit(*range(1, 50))
            await until(lambda: gateway.health.snapshot().get("publishes_without_subscriber", 0) >= 32)
        async with running(tmp_path / "o.db", broker.port, tls=True) as gateway:  # not one that the system knows
            await until(lambda: gateway.health.snapshot().get("uplink_lost", 0) >= 1)
            assert not gateway.uplink.connected
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_certificate_instead_of_a_password(tmp_path, authority, version, monkeypatch):
    """Who the gateway is stands in its certificate, and the access rules follow from that."""
    (tmp_path / "acl").write_text(gateway_rules("test", "main") + center_rules())
    certificate, key = authority.issue(account("test", "main"))
    mine = {"tls": True, "ca_file": authority.file, "certificate_file": certificate, "private_key_file": key}
    if version == "3.1.1":  # as if asked and refused: Mosquitto 2.0 cannot be told to refuse MQTT 5
        monkeypatch.setattr(Probe, "version", AsyncMock(return_value=MQTT311))
    with brokers.mosquitto(tmp_path, CERTIFICATES.format(folder=tmp_path)) as broker:
        center_files = authority.issue("nhip-center")
        context = ssl.create_default_context(cafile=str(authority.file))
        context.load_cert_chain(*map(str, center_files))
        with brokers.Center(broker.port, context=context, version=4) as center:
            async with running(tmp_path / "o.db", broker.port, **mine) as gateway:
                gateway.commit(*range(1, 30))
                await until(lambda: gateway.sender.waiting == 0)
                assert gateway.health.snapshot()["mqtt_version"] == (5 if version == "5" else 4)
            assert center.seqs() == list(range(1, 30))
        nobody = mine | {"certificate_file": None, "private_key_file": None}
        async with running(tmp_path / "o.db", broker.port, **nobody) as gateway:
            await until(lambda: gateway.health.snapshot().get("uplink_lost", 0) >= 1)
            assert not gateway.uplink.connected


async def test_another_gateways_certificate_writes_nothing_here(tmp_path, authority):
    (tmp_path / "acl").write_text(gateway_rules("test", "main") + gateway_rules("test", "second"))
    certificate, key = authority.issue(account("test", "second"))
    mine = {"tls": True, "ca_file": authority.file, "certificate_file": certificate, "private_key_file": key}
    with brokers.mosquitto(tmp_path, CERTIFICATES.format(folder=tmp_path)) as broker:
        async with running(tmp_path / "o.db", broker.port, **mine) as gateway:
            gateway.commit(1)
            await until(lambda: gateway.health.snapshot().get("publishes_refused", 0) >= 1)
            assert gateway.sender.waiting == 1
