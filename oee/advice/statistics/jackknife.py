"""The interval of a figure of summed blocks, whatever it is made of: each block is left out once. Pure."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from scipy import special

FEWEST_BLOCKS: Final = 8
Block = TypeVar("Block")


def left_out(
    blocks: Sequence[Block], figure: Callable[[Sequence[Block]], float | None], level: float = 0.95
) -> tuple[float, float, float] | None:
    """The figure of all blocks with its interval (low, value, high): R -+ t(T-1) sqrt((T-1)/T sum_i (R_-i - mean)^2).

    None with fewer than `FEWEST_BLOCKS` blocks, or where the figure is undefined with a block left out. (J. W. Tukey 1958;
    B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 3.)
    """
    count, value = len(blocks), figure(blocks)
    if count < FEWEST_BLOCKS or value is None:
        return None
    without = [figure([*blocks[:index], *blocks[index + 1 :]]) for index in range(count)]
    if any(one is None for one in without):
        return None
    found: Any = np.array(without, np.float64)
    se = math.sqrt((count - 1) / count * float(((found - found.mean()) ** 2).sum()))
    half = float(special.stdtrit(count - 1, (1 + level) / 2)) * se
    return value - half, value, value + half
