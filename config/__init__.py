"""Configuration files in YAML: the site file, the center's file, state profiles, templates.

Loading reports everything that is wrong at once, with its place; compiling turns a site into the core's machines.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from config.compile.compile import compile_calendar, compile_site
from config.compile.describe import config_hash, describe, description, values_of
from config.site.model import Site
from config.site.recordings import RecordingModel
from config.templates.state_profiles import StateProfile, keep_profiles, load_profiles
from config.yaml.complaints import Complaint, InvalidValue, Misconfigured
from config.yaml.outside import TAKEN, root_path_of

if TYPE_CHECKING:
    from config.budget import BudgetModel
    from config.center import CenterFile, ConnectionsModel
    from config.load.center import load_center, parse_center
    from config.load.load import (
        load_file,
        load_site,
        missing_file_warnings,
        parse_site,
        read_site,
    )

__all__ = [
    "TAKEN",
    "BudgetModel",
    "CenterFile",
    "Complaint",
    "ConnectionsModel",
    "InvalidValue",
    "Misconfigured",
    "RecordingModel",
    "Site",
    "StateProfile",
    "compile_calendar",
    "compile_site",
    "config_hash",
    "describe",
    "description",
    "keep_profiles",
    "load_center",
    "load_file",
    "load_profiles",
    "load_site",
    "missing_file_warnings",
    "parse_center",
    "parse_site",
    "read_site",
    "root_path_of",
    "values_of",
]

_ON_DEMAND: Final = {
    "BudgetModel": "config.budget",
    "CenterFile": "config.center",
    "ConnectionsModel": "config.center",
    "load_center": "config.load.center",
    "load_file": "config.load.load",
    "load_site": "config.load.load",
    "missing_file_warnings": "config.load.load",
    "parse_center": "config.load.center",
    "parse_site": "config.load.load",
    "read_site": "config.load.load",
}
"""Where these are, imported when somebody asks. An agent reads its site file in a child process and has no center's file: it spares
5 MB."""


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_DEMAND[name]), name)
