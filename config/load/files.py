"""Files that a site file names and that are not on this machine, as warnings: a site file may be checked elsewhere."""

import os
from collections.abc import Iterator

from config.site.model import Site
from config.yaml.complaints import Path

_CENTER_KEYS = ("bundle", "password_file", "ca_file", "certificate_file", "private_key_file")
_DEVICE_KEY = "password_file"
"""Certificates of devices are made on first use."""


def missing_files(site: Site) -> Iterator[tuple[Path, str]]:
    """Where the site file names a file that is not there, and its name as resolved."""
    if site.center:
        yield from (
            (("center", key), str(name))
            for key in _CENTER_KEYS
            if (name := getattr(site.center, key)) and _is_missing(name)
        )
    for device, model in site.devices.items():
        if (name := getattr(model, _DEVICE_KEY, None)) and _is_missing(name):
            yield ("devices", device, _DEVICE_KEY), name


def _is_missing(name: str) -> bool:
    """False where only another account may look."""
    try:
        os.stat(name)  # noqa: PTH116  # its error says which
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
