"""`nhip …` processes of tests begin as forks of an interpreter that has imported the product already.

A suite starts some thousand of them, and each would spend up to two CPU seconds on imports before its first own line.

Theory of operation:

* `install` hangs itself into `subprocess.Popen`, at the one step that makes the child. What a test starts with
  `[sys.executable, "-m", "nhip", …]` becomes a fork, and so do programs that a test calls `preparable`. Everything else, and
  whatever asks for more than a fork can give (`preexec_fn`, another user, a copy of the checkout), starts as always. Pipes,
  `wait`, `communicate`, `send_signal` and asyncio's subprocesses are the standard library's own, unchanged.
* The prepared interpreter is fresh (this file run as a program), not a fork of pytest: nothing of the tests is in it. It has
  one thread and has done nothing but the product's imports and read its own files (words, profiles). It gets a request (the
  command's words, environment, folder; descriptors 0–2 by SCM_RIGHTS) and forks, and the fork takes all of them on and runs
  the program as `python` does.
* The fork is a child of the test process itself, so that its status, its kill and its CPU time are seen as ever. For that,
  an interpreter in between forks it and ends, and the test process is the next who takes in orphans (`PR_SET_CHILD_SUBREAPER`)
  for just that moment. It begins when it has been taken in.
* What the interpreter, the loader or a library reads from the environment while it loads cannot be changed in a fork. There is
  therefore an interpreter for each set of those variables, prepared when it will pay (`COLD`).

What a fork does not show is a cold start: how long and how much memory the imports take, and a module that is used without
being imported. Tests of those bear the mark `cold_start`; so do all where `NHIP_COLD_START` is set.
"""

import atexit
import ctypes
import functools
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("oee", "wire", "config", "adapters", "agent", "center", "simulator", "words", "cli", "demo", "replay", "tools")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What keeps NumPy, SciPy and Arrow from starting threads while they are imported: those would be missing in a fork."""
LOADED_LATER = ("pandas", "pyarrow.compute")
"""Libraries that DuckDB and Arrow load with the first answer, pandas where it happens to be installed."""
READ_ONCE = (("words.catalogue", "catalogue"), ("config.templates.state_profiles", "load_profiles"))
"""What a process reads from the product's own files once and keeps."""
READ_WHILE_LOADING = ("PYTHON", "LD_", "GLIBC_", "MALLOC", "OMP_", "LANG", "LC_", "NHIP_KINDS")
"""Beginnings of names. PYTHONPATH is none of them: a fork is given the path that an interpreter would have made of it."""
COLD = 3
"""Processes of a kind that start as always before an interpreter is prepared, which takes as long as two centers."""
MOST = 2  # interpreters at a time; each holds a quarter of a gigabyte
PR_SET_CHILD_SUBREAPER = 36
REQUEST_BYTES = 1 << 17
_CHILD = "_execute_child"


# in the test process


class Interpreter:
    """An interpreter that has imported the product, with an environment."""

    def __init__(self, environment):
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, __file__, str(other.fileno())]
        with other:
            self.process = subprocess.Popen(
                command, env=environment | ONE_THREAD, cwd=ROOT, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL
            )

    def fork(self, request, descriptors):
        """The number of the process that runs the request as a child of this process."""
        data = json.dumps(request).encode()
        adopt = ctypes.CDLL(None, use_errno=True).prctl
        adopt(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(self._channel, [data], descriptors)
            told = self._channel.recv(64)
        finally:
            adopt(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        if not told:
            raise RuntimeError(f"the prepared interpreter ended with status {self.process.wait()}; its words are above")
        return int(told)

    def close(self):
        self._channel.close()
        self.process.wait()


class Interpreters:
    """The interpreters of a test process, each by what was read while it loaded."""

    def __init__(self):
        self._lock = threading.Lock()
        self._seen, self._ready = Counter(), {}
        self.cold = bool(os.environ.get("NHIP_COLD_START"))
        self._owner = os.getpid()
        self.forked = 0

    def fork(self, asked):
        """The number of the process that was asked for; None where it has to start as always."""
        request = None if self.cold or os.getpid() != self._owner else _request(asked)
        if request is None:
            return None
        with self._lock:
            found = self._interpreter(request["environment"])
            if found is None:
                return None
            self.forked += 1
            return found.fork(request, [_own(asked[name], at) for at, name in enumerate(_STREAMS)])

    def _interpreter(self, environment):
        read = _read_while_loading(environment)
        self._seen[read] += 1
        if read not in self._ready and self._seen[read] > COLD:
            while len(self._ready) >= MOST:
                self._ready.pop(next(iter(self._ready))).close()
            self._ready[read] = Interpreter(environment)
        if read in self._ready:
            self._ready[read] = self._ready.pop(read)  # the one that was used last stands last
        return self._ready.get(read)

    def close(self):
        if os.getpid() == self._owner:
            while self._ready:
                self._ready.popitem()[1].close()


_PREPARABLE = {str(ROOT / "nhip.py")}


def preparable(program):
    """The program, a text for `python -c` or the path of a script, which from now on may be a fork as `nhip` is. It must be one that
    starts a part of the product, and not one that asks what was imported.
    """
    _PREPARABLE.add(str(program))
    return program


_STREAMS = ("p2cread", "c2pwrite", "errwrite")
_BEYOND_A_FORK = ("preexec_fn", "pass_fds", "executable", "shell", "gid", "gids", "uid")


def _own(descriptor, standard):
    return standard if descriptor == -1 else descriptor


def _request(asked):
    """What the prepared interpreter needs to know. None unless it is `nhip` of this checkout, or preparable, and no more."""
    words = [asked["args"]] if isinstance(asked["args"], str | bytes | os.PathLike) else list(asked["args"])
    words = [os.fsdecode(word) for word in words]
    if words[0] != sys.executable or any(asked[name] for name in _BEYOND_A_FORK):
        return None
    if words[1:3] != ["-m", "nhip"] and not _PREPARABLE & {*words[1:3]}:
        return None
    folder = Path(asked["cwd"] or Path.cwd()).resolve()
    environment = {
        str(name): str(value) for name, value in (os.environ if asked["env"] is None else asked["env"]).items()
    }
    found_first = [str(folder), *_paths(environment), str(Path(sys.prefix).parent)]  # the last where it is installed
    if (
        next((path for path in found_first if Path(path, "nhip.py").exists()), "") != str(ROOT)
        or not asked["close_fds"]
    ):
        return None
    return {
        "words": words[1:],
        "environment": environment,
        "folder": str(folder),
        "session": bool(asked["start_new_session"]),
        "group": asked["process_group"],
        "umask": asked["umask"],
    }


def _paths(environment):
    return [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]


def _read_while_loading(environment):
    if "LD_PRELOAD" in environment:  # a library of anybody's, which may read anything
        return frozenset(environment.items())
    return frozenset(
        (name, value)
        for name, value in environment.items()
        if name.startswith(READ_WHILE_LOADING) and name != "PYTHONPATH"
    )


def install(interpreters):
    """From now on `subprocess` forks what these interpreters can fork."""
    start_as_always = getattr(subprocess.Popen, _CHILD)
    parameters = inspect.signature(start_as_always)

    @functools.wraps(start_as_always)
    def execute_child(self, *args, **more):
        asked = parameters.bind(self, *args, **more).arguments
        pid = interpreters.fork(asked)
        if pid is None:
            start_as_always(self, *args, **more)
            return
        self.pid, self._child_created = pid, True
        self._close_pipe_fds(
            *(asked[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"))
        )

    setattr(subprocess.Popen, _CHILD, execute_child)
    atexit.register(interpreters.close)


@contextmanager
def cold_start(interpreters):
    """Meanwhile every process starts as always."""
    before, interpreters.cold = interpreters.cold, True
    try:
        yield
    finally:
        interpreters.cold = before


# in the prepared interpreter


def prepare():
    """Imports every part of the product but `nhip`, which puts the commands together anew in each fork."""
    for room in ROOMS:
        for module in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in LOADED_LATER:
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    for name, read in READ_ONCE:
        getattr(importlib.import_module(name), read)()
    threads = list(Path("/proc/self/task").iterdir())
    if len(threads) > 1:
        raise RuntimeError(
            f"imports started {len(threads) - 1} threads, which no fork would have; see {__file__}: ONE_THREAD"
        )
    gc.collect()
    gc.freeze()  # a fork that collects its garbage does not copy all of this


def serve(channel):
    """Forks for each request; returns the words of the command in the forks, as which they go on. Ends when the test process does."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 3)
        if not data:
            sys.exit()
        begin, taken_in = os.pipe()
        number, tell = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if not child:
                for descriptor in (taken_in, number, tell, channel.fileno()):
                    os.close(descriptor)
                os.read(begin, 1)  # ends when the test process has taken this one in
                os.close(begin)
                channel.detach()
                request = json.loads(data)
                become(request, descriptors)
                return request["words"]
            os.write(tell, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)
        channel.send(os.read(number, 64))
        for descriptor in (begin, taken_in, number, tell, *descriptors):
            os.close(descriptor)


def become(request, descriptors):
    """Takes on what a process of its own would have been given."""
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    if request["session"]:
        os.setsid()
    if request["group"] not in (None, -1):
        os.setpgid(0, request["group"])
    if request["umask"] >= 0:
        os.umask(request["umask"])
    os.chdir(request["folder"])
    installed = [path for path in sys.path[1:] if path not in _paths(os.environ)]
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[1:] = [*_paths(os.environ), *installed]
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.orig_argv = [sys.executable, *request["words"]]
    sys.stdin = sys.__stdin__ = _stream(0, "r", sys.stdin)
    sys.stdout = sys.__stdout__ = _stream(1, "w", sys.stdout)
    sys.stderr = sys.__stderr__ = _stream(2, "w", sys.stderr)


def _stream(descriptor, mode, before):
    """As the interpreter makes it: lines where a person sees them, and always for complaints; bytes with PYTHONUNBUFFERED."""
    at_once = mode == "w" and before.write_through
    raw = open(descriptor, f"{mode}b", 0 if at_once else -1, closefd=False)  # noqa: SIM115  # for as long as the process goes on
    lines = mode == "w" and not at_once and (descriptor == 2 or raw.isatty())
    made = io.TextIOWrapper(
        raw, before.encoding, before.errors, line_buffering=lines, write_through=before.write_through
    )
    made.mode = mode
    return made


class QuickEnd:
    """Ends a fork after everything that a program may have asked for at its end, and before the interpreter clears its modules:
    that would copy all that was prepared, which takes longer than most commands.
    """

    def __init__(self):
        self.status = None
        atexit.register(self._end)  # the first of all, so it is called last

    def _end(self):
        if self.status is not None:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(self.status)

    def run(self, words):
        """As `python` with these words; what ends it otherwise than by a status goes the interpreter's way."""
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        try:
            if words[0] == "-m":
                sys.argv, sys.path[0] = ["-m", *words[2:]], str(Path.cwd())
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            elif words[0] == "-c":
                sys.argv, sys.path[0] = ["-c", *words[2:]], ""
                exec(compile(words[1], "<string>", "exec"), vars(main))
            else:
                sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
                runpy.run_path(words[0], run_name="__main__")
            self.status = 0
        except SystemExit as error:
            if error.code is None or isinstance(error.code, int):
                self.status = (error.code or 0) & 0xFF
            raise


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: it ends with the tests
    end = QuickEnd()
    sys.path[0] = str(ROOT)
    prepare()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        asked_words = serve(requests)
    end.run(asked_words)
