"""Device kinds: one folder each, with its face in `kind.py` (see `contract.DeviceKind`), and the protocols they share.

NHIP_KINDS names further folders that hold kinds (separated as in PATH), for kinds that are not part of this program.
"""

import os

__path__.extend(filter(None, os.environ.get("NHIP_KINDS", "").split(os.pathsep)))

import config  # noqa: E402, F401  # first: config imports the faces and they import config, so config's import must begin first
