"""A copy of a DuckDB file that its process goes on using.

Another process does the copying: a POSIX lock is lost as soon as its holder closes any handle of the file, also one
that was opened only to read it, and then a second center could open the store.
"""

import shutil
import subprocess
from pathlib import Path

import duckdb


def copy_file(path: Path, target: Path) -> None:
    """Copies file and log, while nobody commits, and folds the log into the copy, which shows that it can be opened.

    Raises `OSError` or `duckdb.Error`; nothing is left behind then.
    """
    log = _log(target)
    try:
        for source, copy in ((path, target), (_log(path), log)):
            if source.exists():
                _copy(source, copy)
        whole = duckdb.connect(str(target))
        whole.execute("CHECKPOINT")
        whole.close()
    except BaseException:
        target.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        raise


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _copy(source: Path, target: Path) -> None:
    tool = shutil.which("cp")
    if tool is None:
        raise OSError(None, "there is no cp here; stop the center and copy its files")
    done = subprocess.run([tool, "--reflink=auto", "--", source, target], capture_output=True, text=True, check=False)  # noqa: S603  # our own paths
    if done.returncode:
        raise OSError(None, done.stderr.strip() or f"cp ended with status {done.returncode}")
