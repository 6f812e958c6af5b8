"""Reading a recipe: YAML with a safe loader, overrides, and errors that name line, key and the nearest valid key."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tutelage.errors import Problem, RecipeError
from tutelage.recipe.contradictions import Idle
from tutelage.recipe.recipe import Recipe

Location = tuple[str | int, ...]
Tree = dict[str, JsonValue]


def load_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe file.

    Parameters
    ----------
    path: the YAML file.
    overrides: ``key.path=value`` each, as in ``--set tune.epochs=2``; the value is read as YAML.

    Raises
    ------
    RecipeError: with every fault of the file at once, each with its line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(str(path), [Problem("there is no such recipe", remedy=_nearby(path))]) from None
    except IsADirectoryError:
        raise RecipeError(str(path), [Problem("this is a folder", remedy="name the recipe file in it")]) from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            str(path), [Problem("not UTF-8 text", where=f"byte {error.start}", remedy="save the file as UTF-8")]
        ) from None
    except OSError as error:
        raise RecipeError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    return parse_recipe(text, source=str(path), overrides=overrides, folder=path.parent)


def parse_recipe(
    text: str, *, source: str = "recipe", overrides: Sequence[str] = (), folder: Path | None = None
) -> Recipe:
    """Validate the text of a recipe; ``folder`` is what its relative paths are relative to."""
    tree, lines = _parse_yaml(text, source)
    problems = [problem for override in overrides for problem in _apply_override(tree, override)]
    if "folder" in tree:
        where = f"line {lines['folder',]}, folder" if ("folder",) in lines else "folder"
        remedy = "leave it out: relative paths are relative to the folder of the recipe file"
        problems.append(Problem("there is no such key", where, _short(tree["folder"]), remedy))
    if problems:
        raise RecipeError(source, problems)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        faults = [problem for detail in _own_faults(error) for problem in _problems(detail, tree, lines)]
        raise RecipeError(source, faults) from None
    return recipe.relative_to(folder) if folder is not None else recipe


def _nearby(path: Path) -> str:
    names = [str(p) for p in sorted(path.parent.glob("*.y*ml"))] if path.parent.is_dir() else []
    near = difflib.get_close_matches(str(path), names, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "make one with: tutelage init"


def _parse_yaml(text: str, source: str) -> tuple[Tree, dict[Location, int]]:
    lines: dict[Location, int] = {}
    repeated: list[Problem] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
        if node is not None:
            _collect_lines(node, (), lines, repeated)
    except RecursionError:
        remedy = "a recipe is at most a few levels deep"
        raise RecipeError(source, [Problem("not valid YAML: nested without end", remedy=remedy)]) from None
    except ValueError as error:  # what looks like a date or a number and is none
        raise RecipeError(source, [Problem(f"not valid YAML: {error}", remedy="put it in quotes")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise RecipeError(source, [Problem(f"not valid YAML: {what}", where=where)]) from None
    if tree is None:
        raise RecipeError(source, [Problem("the recipe is empty", remedy="make one with: tutelage init")])
    if not isinstance(tree, dict):
        remedy = "start with a line such as: name: my-run"
        raise RecipeError(source, [Problem("a recipe is a mapping", received=type(tree).__name__, remedy=remedy)])
    if repeated:
        raise RecipeError(source, repeated)
    return tree, lines


def _collect_lines(node: yaml.Node, at: Location, lines: dict[Location, int], repeated: list[Problem]) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                what = f"the key {key.value!r} is given twice (first in line {lines[here]})"
                repeated.append(Problem(what, where=f"line {key.start_mark.line + 1}", remedy="keep one of the two"))
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines, repeated)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*at, index), lines, repeated)


def _apply_override(tree: Tree, override: str) -> list[Problem]:
    key, equals, written = override.partition("=")
    where = f"--set {override}"
    if not equals or not key:
        return [Problem("an override has the form key.path=value", where=where)]
    try:
        value = yaml.safe_load(written)
    except RecursionError:
        return [Problem("the value is nested without end", where=where, remedy="a recipe is at most a few levels deep")]
    except ValueError as error:  # what looks like a date or a number and is none
        remedy = f"put it in quotes: --set '{key}=\"{written}\"'"
        return [Problem(f"the value is not valid YAML: {error}", where=where, remedy=remedy)]
    except yaml.YAMLError:
        return [Problem("the value is not valid YAML", where=where, received=repr(written))]
    at: Any = tree
    *parents, last = key.split(".")
    for name in parents:
        if isinstance(at, list) and name.isdigit() and int(name) < len(at):
            at = at[int(name)]
        elif isinstance(at, dict):
            if at.get(name) is None:
                at[name] = {}
            at = at[name]
        else:
            return [Problem(f"there is nothing to set at {name!r}", where=where)]
    if isinstance(at, list) and last.isdigit() and int(last) < len(at):
        at[int(last)] = value
    elif isinstance(at, dict):
        at[last] = value
    else:
        return [Problem(f"there is nothing to set at {last!r}", where=where)]
    return []


def _own_faults(error: ValidationError) -> list[ErrorDetails]:
    """Leave out that a list is too short when the reason is that its members are at fault."""
    details = error.errors()
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(p != detail["loc"] and p[: len(detail["loc"])] == detail["loc"] for p in places)
    ]


def _problems(detail: ErrorDetails, tree: Tree, lines: dict[Location, int]) -> list[Problem]:
    """One problem a fault; settings that would be ignored come together, and each has a line of its own."""
    idle: list[Idle] = detail.get("ctx", {}).get("idle", [])
    if idle:
        remedy = "leave it out, or change one of the two"
        return [
            Problem(one.why, _where(one.place, lines), _short(_value_at(tree, one.place)), remedy=remedy)
            for one in idle
        ]
    return [_problem(detail, tree, lines)]


def _where(loc: Location, lines: dict[Location, int]) -> str:
    line = next((lines[loc[:size]] for size in range(len(loc), -1, -1) if loc[:size] in lines), 1)
    key = ".".join(str(part) for part in loc)
    return f"line {line}, {key}" if key else f"line {line}"


def _value_at(tree: JsonValue, loc: Location) -> object:
    at: Any = tree
    for part in loc:
        at = at[part]
    return at


def _problem(detail: ErrorDetails, tree: Tree, lines: dict[Location, int]) -> Problem:
    loc = _in_file(detail["loc"], tree)
    where = _where(loc, lines)
    kind = detail["type"]
    if kind == "extra_forbidden":
        valid = _keys_at(Recipe, detail["loc"][:-1])
        near = difflib.get_close_matches(str(loc[-1]), valid, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(valid)}"
        return Problem("there is no such key", where=where, remedy=remedy)
    if kind == "missing":
        return Problem("this key is required", where=where)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        context = detail.get("ctx", {})
        expected = context.get("expected_tags")
        received = repr(context.get("tag")) if "tag" in context else "nothing"
        remedy = f"choose one of {expected}" if expected else "give its kind"
        return Problem("unknown or missing kind", where=where, received=received, remedy=remedy)
    what = detail["msg"].removeprefix("Value error, ")
    remedy = str(detail.get("ctx", {}).get("remedy", ""))
    return Problem(what, where=where, received=_short(detail["input"]), remedy=remedy)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_file(loc: Location, tree: JsonValue) -> Location:
    """Drop from ``loc`` the tags of tagged unions, which stand in no file."""
    found: list[str | int] = []
    at: Any = tree
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(at, dict) and (part in at or last):
            found.append(part)
            at = at.get(part)
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            found.append(part)
            at = at[part]
        elif isinstance(at, dict) and at.get("kind") == part:
            continue
        else:
            break
    return tuple(found)


def _keys_at(model: type[BaseModel], loc: Location) -> list[str]:
    """Return the keys that are valid in the section at ``loc`` (tags of unions included in ``loc``)."""
    options: list[type[BaseModel]] = [model]
    for part in loc:
        found: list[type[BaseModel]] = []
        for option in options:
            field = option.model_fields.get(str(part))
            if field is not None:
                found += _models_in(field)
            elif isinstance(part, int) or _kind_of(option) == part:
                found.append(option)
        options = found
    return sorted({name for option in options for name in option.model_fields} - {"folder"})


def _kind_of(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    return next(iter(get_args(kind.annotation)), None) if kind else None


def _models_in(field: FieldInfo | object) -> list[type[BaseModel]]:
    annotation = field.annotation if isinstance(field, FieldInfo) else field
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {Union, UnionType, Annotated, list, tuple}:
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []
