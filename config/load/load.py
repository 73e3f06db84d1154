"""Load a YAML file as a validated `Site` or another model, or report everything that is wrong with it."""

from pathlib import Path as FilePath
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from config.check.site import check_site
from config.load.files import missing_files, resolve_site_paths
from config.load.partial import is_consequence, validate
from config.site.model import Site
from config.site.names import defined_names
from config.templates.expand import expand, template_lines
from config.templates.state_profiles import load_profiles
from config.yaml.complaints import Complaint, Misconfigured, SourceMap, merge_repeated, sort_complaints
from config.yaml.translate import complaints_of
from config.yaml.tree import lines, read_tree, value

M = TypeVar("M", bound=BaseModel)


def load_site(path: str | FilePath) -> Site:
    """The site file at `path`.

    Raises `Misconfigured` with everything that is wrong; for its warnings there is `read_site`.
    """
    return read_site(path)[0]


def read_site(path: str | FilePath) -> tuple[Site, tuple[Complaint, ...]]:
    """The site file at `path` and its warnings; relative file names in it are relative to its folder.

    Raises `Misconfigured` with everything that is wrong, warnings included.
    """
    site, warnings = parse_site(text_of(path), str(path))
    return resolve_site_paths(site, FilePath(path).parent), warnings


def missing_file_warnings(path: str | FilePath, site: Site) -> list[Complaint]:
    """Warnings about files that the site file at `path` names and that are not on this machine, which need not be the
    gateway. site: as `read_site` read it.
    """
    if not (missing := list(missing_files(site))):
        return []
    file = str(path)
    source = SourceMap(file, lines(expand(read_tree(text_of(path), file)[0], file)[0]))
    return [source.complain("missing_file", where, severity="warning", file=name) for where, name in missing]


def parse_site(text: str, file: str = "site.yaml") -> tuple[Site, tuple[Complaint, ...]]:
    """The same for a text; file: its name in complaints."""
    tree, complaints = read_tree(text, file)
    if not tree.pairs:
        raise Misconfigured(complaints or [Complaint(file, 1, "", "", "empty_file")])
    shared = template_lines(tree)
    tree, template_errors = expand(tree, file)
    source, data = SourceMap(file, lines(tree)), value(tree)
    site, invalid, broken = validate(data, source)
    if site is not None:
        cross_checked = check_site(site, defined_names(data), load_profiles(), source)
        invalid = [*invalid, *(item for item in cross_checked if not is_consequence(item, broken))]
    complaints += template_errors + [
        item for item in invalid if not (template_errors and "${" in item.value)
    ]  # reported already
    complaints = merge_repeated(sort_complaints(complaints), shared)
    if site is None or any(item.severity == "error" for item in complaints):
        raise Misconfigured(complaints)
    return site, tuple(complaints)


def load_file(path: str | FilePath, model: type[M]) -> M:
    """The file at `path` as this model, which need not be one of this room's. Raises `Misconfigured` with everything that is
    wrong."""
    return parse_text(text_of(path), str(path), model)


def parse_text(text: str, file: str, model: type[M]) -> M:
    """The same for a text; file: its name in complaints."""
    tree, complaints = read_tree(text, file)
    if not tree.pairs:
        raise Misconfigured(complaints or [Complaint(file, 1, "", "", "empty_file")])
    source, data = SourceMap(file, lines(tree)), value(tree)
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        raise Misconfigured(sort_complaints(complaints + complaints_of(error, model, data, source))) from None
    if complaints:
        raise Misconfigured(complaints)
    return found


def text_of(path: str | FilePath) -> str:
    """What is in the file. Raises `Misconfigured` if it cannot be read."""
    try:
        return FilePath(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        complaint = Complaint(str(path), 0, "", "", "cannot_read", {"detail": error.strerror or str(error)})
    except UnicodeDecodeError as error:
        complaint = Complaint(str(path), 0, "", "", "not_utf8", {"position": str(error.start)})
    raise Misconfigured([complaint])
