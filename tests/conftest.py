"""What holds for all tests."""

import os
import sys

from hypothesis import HealthCheck, settings

# what was compiled is kept, whatever the environment says: tests start some hundred processes, and pytest rewrites asserts
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# how long an example takes, or its data, says nothing on a busy machine
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("busy"), max_examples=5, derandomize=True)  # see examples.py
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))

LONG_FIRST = ("releases", "demo", "faults", "tools", "center", "agent", "adapters")
"""Folders whose files wait for real minutes, real kills and real servers: begun first, they go on beside the rest."""


def pytest_collection_modifyitems(items):
    """The longest folders first, in the order of collection otherwise: with several workers none is left with a long file at
    the end."""

    def place(item):
        folders = item.path.parts
        folder = folders[folders.index("tests") + 1] if "tests" in folders else ""
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)
