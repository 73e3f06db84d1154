"""How long to wait after wrong passwords. Pure: counts and the time are arguments; `guesses` keeps the counts.

After `FREE` failures each further one doubles the delay, from `FIRST_S` to `LONGEST_S`. Failures of one source never delay
another, so nobody can lock somebody else out of an account.
"""

from typing import Final

FREE_OF_AN_ACCOUNT: Final = 5
"""Failures of one source, or of one known browser, at one account that cost no delay yet."""
FREE_OF_A_SOURCE: Final = 20
"""Failures of one source at all accounts together. A correct password does not clear them: knowing one must not allow
guessing others faster.
"""
FIRST_S: Final = 30.0
LONGEST_S: Final = 900.0
FORGET_S: Final = 3600.0


def wait_s(failures: int, free: int, last_s: float, now_s: float) -> float:
    """How long until the next attempt is allowed [s]; 0 if it is now. last_s: when the last one was [s].

    >>> [wait_s(n, FREE_OF_AN_ACCOUNT, 0.0, 0.0) for n in (4, 5, 6, 20)], wait_s(6, FREE_OF_AN_ACCOUNT, 0.0, 59.0)
    ([0.0, 30.0, 60.0, 900.0], 1.0)
    """
    over = failures - free
    if over < 0 or now_s - last_s > FORGET_S:
        return 0.0
    return max(0.0, last_s + min(FIRST_S * 2.0 ** min(over, 10), LONGEST_S) - now_s)
