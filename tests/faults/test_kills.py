"""kill -9 of agent, broker and center at seeded random moments, while facts stream in."""

import random
import time

import pytest
from fault_history import FILES
from fault_stage import Stage, amqtt, eventually, mosquitto, persistent_mosquitto


def agrees(books, expected):
    assert books.facts == expected.facts
    assert books.losses == expected.losses
    assert books.stops == expected.stops
    assert (books.repeated, books.overfull, books.quarantine) == (0, 0, [])


@pytest.mark.parametrize("make_broker", [mosquitto, amqtt], ids=["mosquitto", "amqtt"])
def test_undisturbed(tmp_path, expected, make_broker):
    with Stage(tmp_path, make_broker=make_broker) as stage:
        agrees(stage.finish(), expected)
        rows = stage.last_rows.values()
        # a gateway on a busy machine may lose patience and send again; nothing is counted twice, and no storm begins
        assert sum(row["duplicates"] for row in rows) <= sum(row["stored"] for row in rows)
        assert all(row["holes"] == [] for row in rows)


def play(stage, dice):
    """A few kills at random moments; what was killed comes back after a moment."""
    for _ in range(dice.randint(3, 6)):
        stage.feed(min(FILES, stage.fed + dice.randint(0, 8)))
        time.sleep(dice.uniform(0.0, 1.2))
        victims = dice.sample([stage.agent, stage.broker, stage.center], dice.choice([1, 1, 1, 2, 3]))
        for victim in victims:
            victim.kill()
        time.sleep(dice.uniform(0.0, 0.6))
        stage.feed(min(FILES, stage.fed + dice.randint(0, 3)))
        for victim in victims:
            if victim is stage.broker:
                stage.start_broker()
            else:
                victim.start()


def broker_of(seed):
    """The embedded broker, Mosquitto that keeps nothing, and Mosquitto with what it keeps by itself."""
    return {4: amqtt, 1: persistent_mosquitto, 3: persistent_mosquitto}.get(seed % 5, mosquitto)


ROUNDS = [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 50))]


@pytest.mark.parametrize("seed", ROUNDS)
def test_kills_at_random_moments(tmp_path, expected, seed):
    dice = random.Random(seed)
    with Stage(tmp_path, make_broker=broker_of(seed)) as stage:
        if seed % 2:  # begin with facts that have arrived, not with three processes coming up
            stage.feed(2)
            eventually(lambda: stage.computed() >= 2 and stage.delivered(), what="the first files")
        play(stage, dice)
        agrees(stage.finish(), expected)
