"""The house keeps its layers: who may import whom, and who alone may import what."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "eagrctl"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Each layer may import itself and those before it; rooms of one layer do not meet.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "errors __init__",
        "arrays events files workers",
        "geometry",
        "locks",
        "documents",
        "tensorfile",
        "recipe",
        "network faces",
        "data",
        "readers",
        "checkpoint",
        "weights",
        "inference",
        "drawing",
        "scoring",
        "parsing export",
        "training",
        "paper",
        "benchmark doctor",
        "cli",
        "__main__",
    )
)
NEVER_SEE_A_RECIPE = {"faces", "data", "network", "readers"}
ONLY_IN = {
    "rich": {"cli/console.py"},
    "tomllib": {"documents.py"},
    "av": {"parsing/video/frames.py"},
    "matplotlib": {"drawing/chart.py", "drawing/figures.py"},
    "jinja2": {"scoring/report/html.py"},
    "cv2": {"faces/detection/yunet.py"},
    "dlib": {"faces/detector.py", "faces/landmarks.py"},
    "typer": {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "cli").glob("*.py")},
}
HEAVY = {"torch", "numpy", "pandas", "skimage", "h5py", "dlib", "PIL", "matplotlib"}


def imports(path: Path, top_only: bool = False) -> set[str]:
    """Dotted names that a module imports, `from a import b` as a.b; type-checking imports left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else [node for node in ast.walk(tree) if not _only_for_types(node)]
    hidden = {
        id(child) for node in ast.walk(tree) if _only_for_types(node) for child in ast.walk(node) if child is not node
    }
    names: set[str] = set()
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def room(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in frozenset().union(*LAYERS) else "__init__"


def layer_of(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_what_lies_before_it(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    own = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    for name in imports(path):
        if name.split(".")[0] != "eagrctl":
            continue
        other = room(name)
        if other == own:
            continue
        assert layer_of(other) < layer_of(own), f"{relative} imports {name}"
        assert not (own in NEVER_SEE_A_RECIPE and other == "recipe"), f"{relative} sees a recipe"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_some_packages_are_imported_in_one_place(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    packages = {name.split(".")[0] for name in imports(path)}
    for package, allowed in ONLY_IN.items():
        assert package not in packages or relative in allowed, f"{relative} imports {package}"
    if relative.startswith(("data/", "readers/")):
        assert "torch" not in packages or relative in {"data/dataset.py", "data/augment.py"}


@pytest.mark.parametrize(
    "path",
    [
        *sorted((PACKAGE / "cli").glob("*.py")),
        *(PACKAGE / name for name in ("__init__.py", "__main__.py", "recipe.py")),
    ],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_help_needs_no_heavy_import(path: Path) -> None:
    assert not HEAVY & {name.split(".")[0] for name in imports(path, top_only=True)}


def test_json_is_read_in_one_place() -> None:
    reads = re.compile(r"json\.loads?\b|TypeAdapter|model_validate")
    assert [path.name for path in MODULES if reads.search(path.read_text(encoding="utf-8"))] == ["documents.py"]


def test_no_module_hides_behind_an_empty_name() -> None:
    empty = {"utils", "util", "common", "core", "base", "helpers", "helper", "manager", "misc"}
    assert not empty & {path.stem for path in MODULES}
