"""Code of a user's own that fails while it is loaded or made: in words, with the user's line."""

from pathlib import Path

import pytest

from tutelage.curate import build_steps
from tutelage.errors import RecipeError, TutelageError
from tutelage.recipe.curate import CurateSection, CustomStep
from tutelage.recipe.custom import load_object
from tutelage.recipe.tasks import CustomTaskSection
from tutelage.tasks.build import build_tasks

FAILS = "import os\nclass Mine:\n    name = 'mine'\n    def __init__(self, **options):\n        {}\n"


def task_fault(folder: Path, **options: str) -> str:
    section = CustomTaskSection(kind="custom", path="mine.py:Mine", options=dict(options))
    with pytest.raises(RecipeError) as caught:
        build_tasks([section], folder)
    (problem,) = caught.value.problems
    return str(problem)


def step_fault(folder: Path, **options: str) -> str:
    section = CurateSection(steps=(CustomStep(kind="custom", path="mine.py:Mine", options=dict(options)),))
    with pytest.raises(RecipeError) as caught:
        build_steps(section, [], folder=folder)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("open('no such file')", "raised FileNotFoundError"),
        ("os.environ['NO_SUCH_VARIABLE_']", "raised KeyError: 'NO_SUCH_VARIABLE_'"),
        ("raise RuntimeError('not today')", "raised RuntimeError: not today"),
        ("raise ValueError('size is too small')", "it refuses its options: size is too small"),
        ("len(3)", "it refuses its options: object of type 'int' has no len()"),
    ],
)
def test_a_constructor_that_raises(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(FAILS.format(line))
    for found in (task_fault(tmp_path), step_fault(tmp_path)):
        assert f"{tmp_path / 'mine.py'}:5: " in found
        assert said in found


def test_options_that_a_constructor_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    def __init__(self):\n        pass\n")
    for found in (task_fault(tmp_path, limit="2"), step_fault(tmp_path, limit="2")):
        assert "mine.py:Mine: it refuses its options: " in found
        assert "unexpected keyword argument 'limit'" in found


def test_options_that_a_class_of_this_package_refuses(tmp_path: Path) -> None:
    section = CustomTaskSection(kind="custom", path="tutelage.tasks.safety:Safety", options={"harmless": 1})
    with pytest.raises(RecipeError, match="it refuses its options"):
        build_tasks([section], tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\ndef f(:\n", "tasks.py:2: it cannot be imported: SyntaxError"),
        ("x = 1\ny = 2\nz = xx\n", "tasks.py:3: it cannot be imported: NameError: name 'xx' is not defined"),
        ("\nopen('no such file')\n", "tasks.py:2: it cannot be imported: FileNotFoundError"),
    ],
)
def test_a_module_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    package = tmp_path / f"mine_{abs(hash(code))}"  # what is imported once stays imported
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for path in (f"{package.name}.tasks:T", f"{package / 'tasks.py'}:T"):
        with pytest.raises(TutelageError) as caught:
            load_object(path)
        assert str(caught.value).startswith(f"{package}/{said}")
        assert "Mend the file" in str(caught.value)
