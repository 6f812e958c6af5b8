"""The catalog has every kind that a recipe takes, no other as built, and can be read on a narrow screen."""

import json
from typing import Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter
from rich.console import Console
from typer.testing import CliRunner

from tutelage.cli.app import app
from tutelage.cli.methods import tables
from tutelage.recipe.catalog import METHODS, OBJECTIVES, Entry, share_of, written
from tutelage.recipe.methods import Method
from tutelage.recipe.objectives import Objective

UNIONS: tuple[tuple[Any, Any], ...] = ((OBJECTIVES, Objective), (METHODS, Method))


def kinds_of(union: Any) -> dict[str, Any]:
    return {get_args(section.model_fields["kind"].annotation)[0]: section for section in get_args(get_args(union)[0])}


@pytest.mark.parametrize(("entries", "union"), UNIONS)
def test_what_is_built_is_what_a_recipe_takes(entries: tuple[Entry, ...], union: Any) -> None:
    built = {entry.kind for entry in entries if entry.built}
    assert built == set(kinds_of(union))
    assert not built & {entry.kind for entry in entries if not entry.built}
    assert len({(entry.kind, entry.setting) for entry in entries}) == len(entries)


@pytest.mark.parametrize(("entries", "union"), UNIONS)
def test_how_it_is_written_is_how_it_is_read(entries: tuple[Entry, ...], union: Any) -> None:
    """But for what a kind cannot do without, such as a teacher."""
    for entry in entries:
        if entry.built:
            wanted = yaml.safe_load(written(entry))
            required = {name for name, field in kinds_of(union)[entry.kind].model_fields.items() if field.is_required()}
            if required == {"kind"}:
                found = TypeAdapter(union).validate_python(wanted)
                assert found.model_dump(include=set(wanted)) == wanted


def test_objectives_name_their_rows() -> None:
    sections = kinds_of(Objective)
    for entry in OBJECTIVES:
        if entry.built and entry.kind != "sum":
            assert entry.scope == sections[entry.kind].rows


def test_nothing_is_left_empty_and_only_what_is_built_has_been_counted() -> None:
    for entry in (*OBJECTIVES, *METHODS):
        assert all((entry.name, entry.paper, entry.formula, entry.when, entry.scope, entry.cost)), entry.kind
    for entry in METHODS:
        assert (entry.share is not None) == entry.built
        assert entry.share is None or 0 < entry.share <= 1
    found = {entry.kind: share_of(entry) for entry in METHODS}
    assert [found[kind] for kind in ("full", "last", "ia3", "vera")] == [
        "100 % of all",
        "11 % of all",
        "0.043 % of all",
        "",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_it_can_be_read_on_a_screen(width: int) -> None:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        for shown in tables():
            console.print(shown)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    words = set(captured.get().split())
    for entry in (*OBJECTIVES, *METHODS):
        assert set(entry.kind.split()) <= words, "no kind is broken"


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(app, ["methods"])
    assert done.exit_code == 0, done.output
    assert "not built" in done.output
    lines = [json.loads(line) for line in CliRunner().invoke(app, ["methods", "--json"]).output.splitlines()]
    assert len(lines) == len(OBJECTIVES) + len(METHODS)
    assert {line["of"] for line in lines} == {"objective", "method"}
    assert {line["kind"] for line in lines if line["of"] == "method" and line["built"]} == set(kinds_of(Method))
