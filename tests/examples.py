"""How many examples a property is tried with."""

import os

QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"


def examples(usual):
    """`usual`, or a tenth of them and at most 5 for `make quick`."""
    return max(1, min(usual // 10, 5)) if QUICK else usual
