"""These tests are made of what the center's tests are made of."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "center"))
