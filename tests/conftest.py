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
