"""How many examples a property is tried with."""

import os

QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def examples(usual, deep=0):
    """`usual`, or a tenth of them and at most 5 for `make quick`; deep: for the long rounds, where one example costs much."""
    if QUICK:
        return max(1, min(usual // 10, 5))
    return deep or usual if DEEP else usual
