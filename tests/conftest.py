"""What holds for all tests."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

import prepared
import pytest
from hypothesis import HealthCheck, settings

# what was compiled is kept, whatever the environment says: tests start some hundred processes, and pytest rewrites asserts
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# how long an example takes, or its data, says nothing on a busy machine
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("busy"), max_examples=5, derandomize=True)  # see examples.py
settings.register_profile("deep", settings.get_profile("busy"))  # see examples.py
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))

INTERPRETERS = prepared.Interpreters()
prepared.install(INTERPRETERS)
TESTS = Path(__file__).parent
LONG_FIRST = (
    *("hostile/test_hostile", "demo/test_demo_killed", "demo/test_demo_truth", "tools/test_first_number"),
    *("center/test_live_days",),
    *("releases/test_old_files", "faults/test_starts", "faults/test_identity", "center/test_accessibility"),
    *("center/test_actions_night", "center/test_actions_api", "center/test_store_conformance", "center/test_workers"),
    *("oee/advice/test_gain", "center/test_center_process", "test_recipes", "center/test_days", "center/test_console"),
    *("oee/advice/test_rules", "oee/advice/test_bed", "center/test_console_actions", "center/test_console_advice"),
    *("simulator/test_sim_month", "oee/test_correction_laws", "center/test_rollups", "center/test_api_answers"),
    *("agent/test_andon_entries", "agent/test_andon_browser", "agent/test_uplink", "deploy/test_supply", "test_readme"),
    *("releases", "demo", "faults", "tools", "center", "agent", "adapters"),
)
"""Files that take a minute and more, and folders whose files wait for real minutes, real kills and real servers: begun
first, they go on beside the rest. `pytest --durations 60` says which they are.
"""


def pytest_collection_modifyitems(items):
    """The longest files first, in the order of collection otherwise: with several workers none is left with a long file at
    the end.
    """
    ranks = {}

    def place(item):
        if item.path not in ranks:
            name = item.path.relative_to(TESTS).with_suffix("").as_posix() if TESTS in item.path.parents else ""
            known = [name, name.partition("/")[0]]
            ranks[item.path] = min(
                (LONG_FIRST.index(part) for part in known if part in LONG_FIRST), default=len(LONG_FIRST)
            )
        return ranks[item.path]

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """What bears the mark `cold_start` is started as on a user's machine, in its fixtures too."""
    with prepared.cold_start(INTERPRETERS) if item.get_closest_marker("cold_start") else nullcontext():
        return (yield)
