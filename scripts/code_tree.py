"""The product's source as data: modules, imports, classes, functions. Parsed as text; nothing is imported or run.

`tests/test_architecture.py` checks its rules against it, and `scripts/measure_code` counts with it.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOMS = (
    "oee",
    "wire",
    "config",
    "words",
    "cli",
    "adapters",
    "agent",
    "center",
    "replay",
    "tools",
    "simulator",
    "demo",
)
"""The product's packages, inner ones first. A room that a checkout does not have is skipped."""


_DOCSTRING = re.compile(r'r?"""(.*?)"""', re.DOTALL)


@dataclass(frozen=True)
class Import:
    """One imported name: `from module import name`, or `import module` with an empty name."""

    module: str
    name: str
    line: int

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(frozen=True)
class ClassSize:
    """A top-level class: how many lines it takes, and how many methods it has (properties and dunders count)."""

    name: str
    path: str
    lines: int
    methods: int


@dataclass(frozen=True)
class Module:
    """A source file. `path` is relative to the checkout, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return self.path.split("/")[0]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def dotted(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def docstring(self) -> str:
        """What the module begins with, without parsing the rest."""
        found = _DOCSTRING.match(self.text)
        return inspect.cleandoc(found[1]) if found else ""

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree))

    @cached_property
    def classes(self) -> tuple[ClassSize, ...]:
        return tuple(
            ClassSize(node.name, self.path, _length(node), sum(map(_is_function, node.body)))
            for node in self.tree.body
            if isinstance(node, ast.ClassDef)
        )

    @cached_property
    def functions(self) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def modules(root: Path, rooms: tuple[str, ...] = ROOMS) -> list[Module]:
    """All source files of the rooms, by path. Tests, benches and scripts are not among them."""
    paths = [path for room in rooms for path in sorted((root / room).rglob("*.py"))]
    return [Module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def boxes_and_arrows(sources: list[Module], place: str) -> tuple[set[str], dict[str, dict[str, list[str]]]]:
    """What lies directly in a folder, and who imports whom there.

    A box is a module (`run`) or a folder (`uplink/`). Arrows are {from: {to: ["file:line", ...]}}; a folder's `__init__`
    is its public face and not a box of its own.
    """
    inside = [module for module in sources if module.path.startswith(f"{place}/")]
    boxes = {_box(module.path, place) for module in inside} - {"__init__"}
    arrows: dict[str, dict[str, list[str]]] = {}
    for module in inside:
        box = _box(module.path, place)
        for item in module.imports:
            target = _target(item, place, boxes)
            if target and box not in (target, "__init__"):
                arrows.setdefault(box, {}).setdefault(target, []).append(f"{module.path}:{item.line}")
    return boxes, arrows


def circles(arrows: dict[str, dict[str, list[str]]]) -> list[str]:
    """Each circle of boxes that import each other, as `a -> b -> a`; none in a sound folder."""
    cycles: list[str] = []
    done: set[str] = set()

    def visit(box: str, path: tuple[str, ...]) -> None:
        if box in path:
            cycles.append(" -> ".join((*path[path.index(box) :], box)))
            return
        if box in done:
            return
        for target in sorted(arrows.get(box, {})):
            visit(target, (*path, box))
        done.add(box)

    for box in sorted(arrows):
        visit(box, ())
    return cycles


def private_imports(sources: list[Module]) -> list[str]:
    """`file:line imports name` for each private module or name that is taken from another folder."""
    rooms = {module.room for module in sources}
    return [
        f"{module.path}:{item.line} imports {item.dotted}"
        for module in sources
        for item in module.imports
        if item.module.split(".")[0] in rooms
        and any(part.startswith("_") and not part.startswith("__") for part in item.dotted.split("."))
        and _folder_of_private(item.dotted) != module.folder.replace("/", ".")
    ]


def _folder_of_private(dotted: str) -> str:
    """The package that a private module lies in; for a private name, the package of its module."""
    parts = dotted.split(".")
    at = next(index for index, part in enumerate(parts) if part.startswith("_"))
    return ".".join(parts[:at]) if at < len(parts) - 1 else ".".join(parts[: at - 1])


def _box(path: str, place: str) -> str:
    first, _, rest = path.removeprefix(f"{place}/").partition("/")
    return f"{first}/" if rest else first.removesuffix(".py")


def _target(item: Import, place: str, boxes: set[str]) -> str:
    prefix = place.replace("/", ".") + "."
    if not item.dotted.startswith(prefix):
        return ""
    name = item.dotted.removeprefix(prefix).split(".")[0]
    return next((box for box in (f"{name}/", name) if box in boxes), "")


def _imports(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (Import(node.module, alias.name, node.lineno) for alias in node.names)


def _length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _is_function(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
