"""File names in a configuration file.

Relative ones are relative to that file's folder, not to the working directory. A file that is not on this machine is
worth a warning only: a site file may be checked elsewhere.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Final, TypeVar

from pydantic import BaseModel

from config.site.model import Site
from config.yaml.complaints import Path

_KEYS: Final = (
    "bundle",
    "password_file",
    "ca_file",
    "certificate",
    "key",
    "passwords",
    "rules",
    "pid_file",
    "pin_file",
    "photo",
    "address_file",
)
_CENTER_KEYS: Final = ("bundle", "password_file", "ca_file", "certificate_file", "private_key_file")
_ANDON_KEYS: Final = ("pin_file", "certificate", "key")
_DEVICE_KEY: Final = "password_file"
"""Certificates of devices are made on first use."""
M = TypeVar("M", bound=BaseModel)


def resolve_site_paths(site: Site, folder: PurePath) -> Site:
    """The site with its file names resolved; folder: of the site file."""
    devices = {name: with_paths(device, folder, device.file_settings) for name, device in site.devices.items()}
    reasons = {name: with_paths(reason, folder) for name, reason in site.reasons.items()}
    blocks = {"center": site.center, "andon": site.andon}
    resolved = {name: with_paths(block, folder) for name, block in blocks.items() if block}
    return site.model_copy(update={"devices": devices, "reasons": reasons, **resolved})


def with_paths(model: M, folder: PurePath, keys: Iterable[str] = _KEYS) -> M:
    """The block with the files that these keys name resolved."""
    named = {key: getattr(model, key, None) for key in keys}
    return model.model_copy(update={key: str(folder / name) for key, name in named.items() if name})


def missing_files(site: Site) -> Iterator[tuple[Path, str]]:
    """Where the site file names a file that is not there, and its name as resolved."""
    for section, block, keys in (("center", site.center, _CENTER_KEYS), ("andon", site.andon, _ANDON_KEYS)):
        if block:
            yield from (
                ((section, key), str(name)) for key in keys if (name := getattr(block, key)) and _is_missing(name)
            )
    for reason, item in site.reasons.items():
        if item.photo and _is_missing(item.photo):
            yield ("reasons", reason, "photo"), item.photo
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
