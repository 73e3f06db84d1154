"""A power cut: of what the agent wrote since its last sync, some pages reach the disk and others do not.

The agent runs with a library that copies each of the outbox's files whenever it is synced. `cut` ends the process and
then decides, page by page and seeded, whether a page that differs from that copy is the new or the old one; a file that
was never synced may be gone altogether. SQLite's shared memory (`-shm`) is rebuilt by whoever opens the file, and goes.
"""

import subprocess
from pathlib import Path

PAGE = 4096


def synced_files_library(folder):
    """The library that remembers what was synced."""
    library = folder / "synced_files.so"
    source = Path(__file__).with_name("synced_files.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


def on_a_real_disk(process, outbox, library):
    """From its next start on the process writes to a disk that can lose power."""
    process.command = ["env", f"LD_PRELOAD={library}", f"SYNCED_FILES={outbox}", *process.command]


def unsynced(outbox):
    """Whether a power cut would take something now."""
    for path in outbox.parent.glob(f"{outbox.name}*.synced"):
        written = path.with_name(path.name.removesuffix(".synced"))
        if not written.name.endswith("-shm") and written.exists() and written.read_bytes() != path.read_bytes():
            return True
    return False


def cut(process, outbox, dice):
    """Takes the power away; returns how many pages were lost."""
    process.kill()
    lost = 0
    for path in sorted(outbox.parent.glob(f"{outbox.name}*")):
        if path.name.endswith((".synced", ".part", ".lock")):
            continue
        kept = path.with_name(f"{path.name}.synced")
        if path.name.endswith("-shm") or not kept.exists():
            if path.name.endswith("-shm") or dice.random() < 0.5:
                path.unlink()
            continue
        lost += _mix(path, kept.read_bytes(), dice)
    return lost


def _mix(path, old, dice):
    new = path.read_bytes()
    length = dice.choice([len(old), len(new)])
    pages, lost = [], 0
    for at in range(0, length, PAGE):
        before, after = old[at : at + PAGE], new[at : at + PAGE]
        drop = before != after and dice.random() < 0.5
        lost += drop
        page = before if drop else after
        pages.append(page.ljust(min(PAGE, length - at), b"\0"))
    path.write_bytes(b"".join(pages)[:length])
    return lost
