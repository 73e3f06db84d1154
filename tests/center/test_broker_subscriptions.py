"""The center's session with a broker that keeps to less than it should."""

from contextlib import contextmanager

from servers import until
from silent_broker import SilentBroker

from center.ingest import mqtt
from center.ingest.mqtt import BrokerSession, BrokerSettings
from center.runtime.health import CenterHealth


@contextmanager
def connecting(port):
    """The health of a session that connects to this port."""
    health = CenterHealth()
    session = BrokerSession(BrokerSettings("127.0.0.1", port), health, lambda _: None, lambda: None)
    session.start()
    try:
        yield health
    finally:
        session.stop()


async def test_a_broker_that_never_answers_a_subscription_is_told_and_left(monkeypatch):
    """It answers pings, so that nothing else would end the connection: the center would hear nobody and say that all is
    well."""
    monkeypatch.setattr(mqtt, "SUBACK_S", 1.0)
    async with SilentBroker() as broker:
        with connecting(broker.port) as health:
            await until(lambda: broker.subscribed > 1)
            assert health.condition("broker").startswith("lost: it did not answer SUBSCRIBE within 1 s")
            assert health.counts()["subscriptions_unanswered"] >= 1
            broker.silent = False
            await until(lambda: health.condition("broker") == "ok")


async def test_a_refused_subscription_is_not_called_well():
    async with SilentBroker() as broker:
        broker.silent, broker.answer = False, 0x87
        with connecting(broker.port) as health:
            await until(lambda: health.condition("broker").startswith("subscription refused"))
