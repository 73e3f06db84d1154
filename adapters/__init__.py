"""Device kinds: one folder each, with its face in `kind.py` (see `contract.DeviceKind`), and the protocols they share.

NHIP_KINDS names further folders that hold kinds (separated as in PATH), for kinds that do not come with the program.
"""

import os

__path__.extend(filter(None, os.environ.get("NHIP_KINDS", "").split(os.pathsep)))

import config  # noqa: E402, F401  # first: it imports the faces, which import it, and must be the outer of the two
