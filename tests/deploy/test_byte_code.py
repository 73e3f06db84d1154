"""scripts/byte_code.py: what it leaves out, and what stays as the sources say it."""

import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

COMPILER = Path(__file__).resolve().parents[2] / "scripts" / "byte_code.py"
MODULE = '''"""About the module."""
from __future__ import annotations

class Quiet:
    """Nothing but a docstring."""

def half(value: int) -> float:
    """Of a number."""
    assert value, "none"
    return 1 / value
'''


def compiled(folder, *more):
    """The module as it is loaded from its byte code: the source has gone astray."""
    (folder / "module.py").write_text(MODULE)
    (folder / "of_another_python.py").write_text("def (:\n")
    done = subprocess.run(
        [sys.executable, COMPILER, folder, "/opt/nhip/1/lib", *more], capture_output=True, text=True, check=True
    )
    assert "of_another_python.py" in done.stderr
    (folder / "module.py").write_text("raise SystemExit('compiled again')\n")
    show = "import sys, json; sys.path[:0] = [sys.argv[1]]; import module as m; print(json.dumps(eval(sys.argv[2])))"
    return lambda what: subprocess.run([sys.executable, "-I", "-c", show, folder, what], capture_output=True, text=True)


@pytest.mark.parametrize(("more", "said"), [((), '"About the module."\n'), (("--without-docstrings",), "null\n")])
def test_byte_code_is_used_though_the_source_has_another_time(tmp_path, more, said):
    assert compiled(tmp_path, *more)("m.__doc__").stdout == said


def test_docstrings_go_while_lines_assertions_and_annotations_stay(tmp_path):
    ask = compiled(tmp_path, "--without-docstrings")
    assert ask("[m.Quiet.__doc__, m.half.__doc__, m.half.__annotations__, m.half(4)]").stdout == (
        '[null, null, {"value": "int", "return": "float"}, 0.25]\n'
    )
    failed = ask("m.half(0)").stderr
    assert 'module.py", line 9, in half' in failed
    assert "AssertionError: none" in failed


def test_the_same_source_gives_the_same_bytes(tmp_path):
    found = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        compiled(tmp_path / name, "--without-docstrings")
        found.add(Path(cache_from_source(str(tmp_path / name / "module.py"))).read_bytes())
    assert len(found) == 1
