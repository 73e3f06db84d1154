"""The center's file. A gateway reads none, so nothing that an agent imports imports this."""

from pathlib import Path as FilePath
from pathlib import PurePath
from typing import Final

from config.center import CenterFile, StoreModel
from config.load.files import with_paths
from config.load.load import parse_text, text_of

_STORE_KEYS: Final = ("file", "books", "cache", "password_file", "token_file", "ca_file")
_SQLITE: Final = "sqlite:///"


def load_center(path: str | FilePath) -> CenterFile:
    """The center's file at `path`; relative file names in it are relative to its folder.

    Raises `Misconfigured` with everything that is wrong.
    """
    return resolve_center_paths(parse_center(text_of(path), str(path)), FilePath(path).parent)


def parse_center(text: str, file: str = "center.yaml") -> CenterFile:
    """The same for a text; file: its name in complaints."""
    return parse_text(text, file, CenterFile)


def resolve_center_paths(center: CenterFile, folder: PurePath) -> CenterFile:
    """The center's file with its file names resolved; folder: of the file."""
    blocks = {"https": center.https, "enrolment": center.enrolment, "mail": center.mail}
    changes: dict[str, object] = {key: with_paths(block, folder) for key, block in blocks.items() if block}
    options = {
        key: str(folder / value) if key in _STORE_KEYS and isinstance(value, str) and value else value
        for key, value in center.store.options.items()
    }
    changes["store"] = StoreModel.model_validate({"kind": center.store.kind, **options})
    if alerts := center.alerts:
        channels = {name: with_paths(channel, folder) for name, channel in alerts.channels.items()}
        changes["alerts"] = alerts.model_copy(update={"channels": channels})
    if center.database and center.database.startswith(_SQLITE):
        changes["database"] = f"{_SQLITE}{folder / center.database.removeprefix(_SQLITE)}"
    return with_paths(center, folder).model_copy(update=changes)
