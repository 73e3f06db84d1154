"""byte_code.py FOLDER PLACE [--without-docstrings]: compiles each module under FOLDER as it will lie under PLACE.

Run by the Python that the byte code is for. Files are marked as unchecked, so that they depend on no time. Without
docstrings it is a tenth smaller, and so is an agent's memory by 1.3 MB; lines and assertions stay as they are, unlike with `python -OO`.
"""

import ast
import importlib.util
import marshal
import sys
import warnings
from pathlib import Path

_UNCHECKED = (1).to_bytes(4, "little")
"""PEP 552: a hash instead of a time, and nobody compares it."""

_READ_BY_PROGRAMS = ("/numpy/_core/", "/numpy/ma/", "/numpy/lib/_shape_base_impl.py")
"""`numpy.ma` makes its own docstrings from these, with assertions."""


def main() -> int:
    """Exit status 0; a module for another Python, which some libraries ship, stays without byte code and is named."""
    folder, place = Path(sys.argv[1]), Path(sys.argv[2])
    without_docstrings = "--without-docstrings" in sys.argv[3:]
    warnings.simplefilter("ignore")  # of libraries: not ours to mend
    for file in sorted(folder.rglob("*.py")):
        source = file.read_bytes()
        try:
            tree = ast.parse(source)
            if without_docstrings and not any(kept in str(file) for kept in _READ_BY_PROGRAMS):
                _remove_docstrings(tree)
            code = compile(tree, place / file.relative_to(folder), "exec")
        except (SyntaxError, ValueError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            continue
        target = Path(importlib.util.cache_from_source(str(file)))
        target.parent.mkdir(exist_ok=True)
        head = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
        target.write_bytes(head + marshal.dumps(code))
    return 0


def _remove_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            if len(node.body) > 1:
                del node.body[0]
            else:
                node.body[0] = ast.copy_location(ast.Pass(), node.body[0])


if __name__ == "__main__":
    sys.exit(main())
