"""Configuration files in YAML: the site file, the center's file, state profiles, templates.

Loading reports everything that is wrong at once, with its place; compiling turns a site into the core's machines.
"""

from config.budget import BudgetModel
from config.center import CenterFile, ConnectionsModel
from config.compile.compile import compile_calendar, compile_site
from config.compile.describe import config_hash, describe, description, values_of
from config.load.load import (
    load_center,
    load_file,
    load_site,
    missing_file_warnings,
    parse_center,
    parse_site,
    read_site,
)
from config.site.model import Site
from config.site.recordings import RecordingModel
from config.templates.state_profiles import StateProfile, load_profiles
from config.yaml.complaints import Complaint, InvalidValue, Misconfigured
from config.yaml.outside import TAKEN, root_path_of

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
