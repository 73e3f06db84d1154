"""Metrics of the product's code, as a table and as one line of JSON: `scripts/measure_code [CHECKOUT]`.

They describe what a newcomer meets: how many boxes a folder shows at once, how long classes and files are, whether a
name stands for one thing, and how errors are handled. Run it on two checkouts to compare them.
"""

import ast
import json
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.code_tree import Module, boxes_and_arrows, circles, modules, private_imports  # noqa: E402

LAYERED = ("oee", "wire", "config", "adapters", "agent", "center", "replay", "tools")


def main() -> int:
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    marks = measure(root)
    width = max(map(len, marks))
    for name, value in marks.items():
        shown = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        print(f"{name:{width}}  {shown}")
    print(json.dumps(marks, ensure_ascii=False))
    return 0


def measure(root: Path) -> dict[str, Any]:
    """{metric: number, or {room: number}}. Lines are all lines of a file, blank ones included."""
    sources = modules(root)
    return {
        "modules": len(sources),
        "lines": sum(map(_lines, sources)),
        **_functions(sources),
        **_errors(sources),
        "test lines per line": _tests(root, sources),
        **_sizes(sources),
        **_folders(root, sources),
        **_names(sources),
        "modules that say they are pure": sum("pure" in module.docstring.lower() for module in sources),
        "private imports across folders": len(private_imports(sources)),
    }


def _lines(module: Module) -> int:
    return len(module.text.splitlines())


def _functions(sources: list[Module]) -> dict[str, Any]:
    functions = [function for module in sources for function in module.functions]
    lengths = sorted((function.end_lineno or 0) - function.lineno + 1 for function in functions)
    annotated = sum(function.returns is not None for function in functions)
    return {
        "functions": len(functions),
        "functions with a return type, %": round(100 * annotated / len(functions), 1),
        "function lines, median": statistics.median(lengths),
        "function lines, 95th percentile": lengths[len(lengths) * 95 // 100],
        "function lines, longest": lengths[-1],
    }


def _errors(sources: list[Module]) -> dict[str, Any]:
    raises: Counter[str] = Counter()
    excepts: Counter[str] = Counter()
    broad = 0
    for module in sources:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Raise):
                raises[module.room] += 1
            elif isinstance(node, ast.ExceptHandler):
                excepts[module.room] += 1
                broad += node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    per_room = {room: round(raises[room] / count, 2) for room, count in sorted(excepts.items())}
    return {
        "broad excepts per 1,000 lines": round(1000 * broad / sum(map(_lines, sources)), 2),
        "raise per except": round(raises.total() / excepts.total(), 2),
        "raise per except by room": per_room,
    }


def _tests(root: Path, sources: list[Module]) -> dict[str, float]:
    product: Counter[str] = Counter()
    for module in sources:
        product[module.room] += _lines(module)
    tests = {
        room: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (root / "tests" / room).rglob("*.py"))
        for room in product
    }
    all_lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (root / "tests").rglob("*.py"))
    return {"all": round(all_lines / product.total(), 2)} | {
        room: round(tests[room] / lines, 2) for room, lines in product.items()
    }


def _sizes(sources: list[Module]) -> dict[str, Any]:
    classes = [item for module in sources for item in module.classes]
    long = sorted((item for item in classes if item.lines > 200), key=lambda item: -item.lines)
    return {
        "classes over 200 lines": len(long),
        "longest classes": {item.name: item.lines for item in long[:8]},
        "classes over 12 methods": sum(item.methods > 12 for item in classes),
        "files over 450 lines": sum(_lines(module) > 450 for module in sources),
        "files under 60 lines": sum(
            _lines(module) < 60 for module in sources if not module.path.endswith("__init__.py")
        ),
    }


def _folders(root: Path, sources: list[Module]) -> dict[str, Any]:
    importers: defaultdict[str, set[str]] = defaultdict(set)
    known = {module.dotted for module in sources}
    for module in sources:
        for item in module.imports:
            target = item.dotted if item.dotted in known else item.module
            if target in known:
                importers[target].add(module.path)
    places = {place: boxes_and_arrows(sources, place) for place in LAYERED if (root / place).is_dir()}
    return {
        "modules imported by exactly one": sum(
            len(importers[module.dotted]) == 1 for module in sources if not module.path.endswith("__init__.py")
        ),
        "boxes in a room": {place: len(boxes) for place, (boxes, _) in places.items()},
        "circles between boxes": {place: len(circles(arrows)) for place, (_, arrows) in places.items()},
    }


def _names(sources: list[Module]) -> dict[str, Any]:
    classes = Counter(item.name for module in sources for item in module.classes if not item.name.startswith("_"))
    return {"class names that stand for several things": sum(count > 1 for count in classes.values())}


if __name__ == "__main__":
    sys.exit(main())
