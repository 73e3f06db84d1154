"""A hostile gateway harms nobody but itself: beside each attack three honest gateways get their receipts, every page answers, and at
the end the sums of the honest are exact and the center has never had more than 512 MB.

Numbers stay small and harmless; how the receipts compare with a quiet run is measured by `bench/hostile.py`.
"""

import hashlib
import json

import pytest
from absurd import corpus
from center_plant import Gateway
from hostile_stage import ATTACKS, Hostile, stage, thousands_of_messages_at_once
from servers import eventually

from wire.envelope import seal
from wire.topics import ENVELOPED

MOST_MB = 512
pytestmark = pytest.mark.cold_start  # a fork has the memory of all that was prepared
_A_GATEWAY = 20
"""Messages of one hostile gateway of the fuzzer: fewer than its budget, so that all are read."""
_ROUNDS = 5
"""How often all pages are asked while the fuzzer sends. What it said last stays there to be shown."""


@pytest.fixture(scope="module")
def running_stage(tmp_path_factory):
    with stage(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.fixture
def hostile(running_stage, request):
    made = Hostile(running_stage.port, hashlib.sha256(request.node.name.encode()).hexdigest()[:16])
    yield made
    made.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_beside_an_attack_everybody_else_is_served(running_stage, hostile, attack):
    _beside(running_stage, lambda: attack(hostile))


@pytest.mark.slow
def test_beside_ten_thousand_messages_at_once_everybody_else_is_served(running_stage, hostile):
    _beside(running_stage, lambda: thousands_of_messages_at_once(hostile, 10_000))


def _beside(running_stage, attack):
    with running_stage.honest_work():
        attack()
        running_stage.answers_everybody()
    running_stage.answers_everybody()
    running_stage.sums_are_exact()
    assert running_stage.most_mb() < MOST_MB


def test_a_gateway_that_was_held_back_is_shown_whatever_it_sent(running_stage):
    """Also one of a site of which nothing is known."""
    gateway = Gateway(running_stage.port, "stranger", "junk")

    def shown():
        gateway.burst([f"junk {number}".encode() for number in range(500)])
        rows = running_stage.get("/api/v1/gateways").json()
        return [row for row in rows if row["site"] == "stranger" and row["held_back"]]

    assert len(eventually(shown)) == 1
    running_stage.answers_everybody()
    gateway.close()


def test_beside_absurd_messages_everybody_else_is_served(running_stage):
    _fuzz(running_stage, 300)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_beside_thousands_of_absurd_messages_everybody_else_is_served(running_stage):
    _fuzz(running_stage, 5000)


def _fuzz(running_stage, count):
    messages = corpus(count)
    assert {kind for kind, _ in messages} == {*ENVELOPED, "status", "live"}
    with running_stage.honest_work():
        for first in range(0, len(messages), _A_GATEWAY):
            hostile = Hostile(running_stage.port, f"absurd-{first}")
            for kind, content in messages[first : first + _A_GATEWAY]:
                if kind in ENVELOPED:
                    hostile.send(seal(kind.encode().hex()[:8].rjust(16, "0"), first + 1, 1, content).data, kind)
                else:
                    hostile.send(json.dumps(content).encode(), kind)
            hostile.close()
            if first % (count // _ROUNDS) == 0:
                running_stage.answers_everybody()
    running_stage.answers_everybody()
    running_stage.sums_are_exact()
    assert running_stage.most_mb() < MOST_MB


def test_a_start_is_as_quick_and_quiet_after_all_of_it(running_stage):
    """What was kept of the attacks comes along."""
    running_stage.stop()
    running_stage.start()
    with running_stage.honest_work():
        running_stage.answers_everybody()
    running_stage.sums_are_exact()
    assert running_stage.most_mb() < MOST_MB
