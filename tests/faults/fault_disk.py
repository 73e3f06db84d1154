"""Disks that refuse: a tiny file system that a test fills and frees, and a limit on the size of a process's files."""

import errno
import os
import resource
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import PATIENCE_S


class SmallDisk:
    """A tmpfs of a few megabytes in a mount namespace of its own, which ends with the test.

    place: the folder as seen by processes started with `prefix`; here it is reached through `seen` alone, which
    programs that resolve links by themselves (SQLite, DuckDB) cannot follow.
    """

    def __init__(self, place, holder):
        self.place, self.seen = place, Path(f"/proc/{holder.pid}/root{place}")
        self.prefix = ["nsenter", "-t", str(holder.pid), "--user", "--preserve-credentials", "--mount", "--"]

    def fill(self, leave_bytes=0):
        """Takes all free space but a little, also while somebody else writes."""
        with (self.seen / "ballast").open("ab") as file:
            while (size := self._free_bytes() - leave_bytes) > 0:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:  # somebody else was quicker: less is left now
                        raise

    def _free_bytes(self):
        free = os.statvfs(self.seen)
        return free.f_bavail * free.f_frsize

    def free(self):
        (self.seen / "ballast").unlink(missing_ok=True)

    def read_only(self, yes=True):
        """Mounts it read-only, as a kernel does after an error of the medium, or writable again. Nobody may have a file
        open for writing.
        """
        mode = "ro" if yes else "rw"
        subprocess.run([*self.prefix, "mount", "-o", f"remount,{mode}", self.place], check=True)

    def copy_out(self, name, folder):
        """A file and what belongs to it, as they are now, where everybody can open them."""
        folder.mkdir(exist_ok=True)
        for path in self.seen.glob(f"{name}*"):
            if path.is_file():  # not the socket at which the agent answers
                shutil.copy(path, folder)
        return folder / name


@contextmanager
def small_disk(folder, megabytes):
    """Skips the test where the system does not let it make a namespace."""
    place = folder / "disk"
    place.mkdir()
    script = f"mount -t tmpfs -o size={megabytes}m tmpfs {place} && echo mounted && exec cat"
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if holder.stdout.readline() != b"mounted\n":
            pytest.skip("this system lets nobody make a mount namespace")
        yield SmallDisk(place, holder)
    finally:
        holder.stdin.close()
        holder.wait(PATIENCE_S)
        holder.stdout.close()


def limit_files(process, size_bytes=None):
    """From now on the process can make no file larger than this; None: as large as it likes."""
    _, hard = resource.prlimit(process.child.pid, resource.RLIMIT_FSIZE)
    soft = hard if size_bytes is None else size_bytes
    resource.prlimit(process.child.pid, resource.RLIMIT_FSIZE, (soft, hard))
