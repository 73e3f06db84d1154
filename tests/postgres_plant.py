"""A real PostgreSQL for the tests: Debian's server, started on a free port and ended with the tests."""

import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from servers import eventually, free_port

USER = "nhip"
_SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=on", "shared_buffers=16MB")


def _binaries():
    """The folder with initdb, None without a server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    here = shutil.which("initdb")
    return found[-1].parent if found else Path(here).parent if here else None


def _nobody():
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class Postgres:
    """A server of our own, which may be killed and started again on the same data and port."""

    def __init__(self):
        binaries = _binaries()
        if binaries is None:
            pytest.skip("no PostgreSQL server: run scripts/packages")
        self._binaries, self.port, self._made = binaries, free_port(), 0
        self.folder = Path(tempfile.mkdtemp(prefix="nhip-postgres-"))
        self._as = _nobody()
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        command = [
            binaries / "initdb",
            "-D",
            self.folder / "data",
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run([*command, "--locale=C.UTF-8"], check=True, capture_output=True, cwd="/", **self._as)

    def start(self):
        command = [self._binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        settings = [item for setting in _SETTINGS for item in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *settings], stdout=log, stderr=log, cwd="/", **self._as)
        eventually(self._answers)

    def _answers(self):
        ask = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, capture_output=True).returncode == 0

    def kill(self):
        """With its backends, which would go on answering for a moment."""
        pid = self.process.pid
        family = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for child in family:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def database(self):
        """A new database's URL."""
        self._made += 1
        name = f"nhip{self._made}"
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        subprocess.run([self._binaries / "createdb", *where, name], check=True, capture_output=True)
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def postgres():
    """One server for all tests of a process."""
    server = Postgres()
    server.start()
    atexit.register(server.remove)
    return server


KINDS = ("sqlite", "postgresql")


def database_url(kind, folder):
    """A new, empty database of either kind; skips with one line where there is no server."""
    return postgres().database() if kind == "postgresql" else f"sqlite:///{folder}/{kind}.sqlite"
