"""The power goes at a random moment: what the center was told, or would be told, is still on the gateway's disk."""

import random
import time

import pytest
from fault_history import FILES
from fault_power import cut, on_a_real_disk, synced_files_library, unsynced
from fault_stage import Stage, eventually
from test_kills import agrees

ROUNDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]

MOST_CUTS = 12


@pytest.mark.parametrize("seed", ROUNDS)
def test_power_cuts(tmp_path, expected, seed):
    dice = random.Random(seed)
    library = synced_files_library(tmp_path)
    with Stage(tmp_path) as stage:
        stage.agent.kill()
        cut(stage.agent, stage.outbox, dice)
        on_a_real_disk(stage.agent, stage.outbox, library)
        stage.agent.start()
        lost = cuts = 0
        while cuts < 3 or not lost:  # a cut at which everything was synced is no test at all
            assert cuts < MOST_CUTS
            stage.feed(min(FILES, stage.fed + 6))
            stage.wait_agent(stage.fed - dice.randint(1, 5))  # it is computing, storing and sending
            if cuts >= 2 and not lost:
                eventually(lambda: unsynced(stage.outbox), 0.005, "something to lose")
            else:
                time.sleep(dice.uniform(0.0, 0.2))
            lost += cut(stage.agent, stage.outbox, dice)
            stage.agent.start()
            cuts += 1
        agrees(stage.finish(), expected)
        assert "outbox damaged" not in stage.agent.last_words()
