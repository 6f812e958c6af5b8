"""``tutelage inspect``."""

from dataclasses import dataclass
from pathlib import Path

from tutelage.cli.console import say, say_json, waiting
from tutelage.cli.inspect_shown import show_inspection
from tutelage.cli.targets import rows_at
from tutelage.curate.inspection import Wishes
from tutelage.curate.inspection.seen import Show
from tutelage.errors import InputErrors, Problem
from tutelage.files import write_atomic
from tutelage.pipeline.inspecting import inspect_file, read_benchmarks
from tutelage.recipe.tune import TuneSection
from tutelage.records.importers import Imported
from tutelage.records.inspection import Inspection, TokenFigures
from tutelage.report.inspection import render_inspection
from tutelage.report.redact import redacted

STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked at, and how."""

    data: str
    model: str | None
    max_tokens: int | None
    against: tuple[Path, ...]
    topics: int | None
    sample: int


def inspect_command(
    wanted: Wanted, *, page: Path | None, json: Path | None, redact: bool, quiet: bool, offline: bool
) -> None:
    """Inspect rows; print what was found, and write it where that is wanted."""
    _check(wanted, page, json)
    quiet = quiet or json == STDOUT
    with waiting(f"reading {wanted.data}", quiet=quiet):
        file, name = _file(wanted.data, offline=offline)
        benchmarks = read_benchmarks(wanted.against)
    wishes = Wishes(wanted.sample, wanted.topics, benchmarks, redacted if redact else None)
    with waiting(f"inspecting {name}", quiet=quiet):
        imported, found = inspect_file(file, wishes, name=name)
    if wanted.model is not None:
        with waiting(f"in tokens of {wanted.model}", quiet=quiet):
            tokens = _tokens(wanted, imported, Show(wishes.redacted), offline=offline)
        found = found.model_copy(update={"tokens": tokens})
    if not quiet:
        show_inspection(found)
    _write(found, page, json, quiet=quiet)


def _check(wanted: Wanted, page: Path | None, json: Path | None) -> None:
    """Refuse what cannot be meant, all of it at once, before anything takes time."""
    problems = []
    if wanted.max_tokens is not None and wanted.model is None:
        remedy = "say whose chat template: --model ID"
        problems.append(Problem("tokens are counted by a model", "--max-tokens", str(wanted.max_tokens), remedy))
    if page == STDOUT:
        problems.append(Problem("a page is not printed", "--page", "-", "name a file"))
    if page is not None and json is not None and page.resolve() == json.resolve():
        problems.append(Problem("two outputs go to one file", "--page, --json", str(page), "give them two names"))
    sources = {one.resolve() for one in (Path(wanted.data), *wanted.against)}
    for option, out in (("--page", page), ("--json", json)):
        if out is None or (out == STDOUT and option == "--json"):
            continue
        if out.is_dir():
            problems.append(Problem("a folder is in the way", option, str(out), "name a file"))
        elif any(out.resolve() == source or source in out.resolve().parents for source in sources):
            remedy = "name a file elsewhere"
            problems.append(Problem("this would be written over the data, or among it", option, str(out), remedy))
    if problems:
        raise InputErrors("inspect", problems)


def _file(data: str, *, offline: bool) -> tuple[Path, str]:
    """The file of rows, and what people call it."""
    given = rows_at(data, "inspect")
    if isinstance(given, Path):
        return given, data
    from tutelage.pipeline.hub_rows import rows_file

    found = rows_file(given, Path(), offline=offline)
    return found.file, found.name


def _tokens(wanted: Wanted, imported: Imported, show: Show, *, offline: bool) -> TokenFigures:
    from tutelage.models.load import load_template
    from tutelage.pipeline.coverage import token_figures

    named = str(wanted.model)
    limit = wanted.max_tokens or TuneSection().max_tokens
    template = load_template(named, offline=offline)
    return token_figures(template, imported.rows, model=named, max_tokens=limit, show=show)


def _write(found: Inspection, page: Path | None, json: Path | None, *, quiet: bool) -> None:
    if json == STDOUT:
        say_json(found.model_dump_json())
    elif json is not None:
        write_atomic(json, found.model_dump_json(indent=1) + "\n")
    if page is not None:
        write_atomic(page, render_inspection(found))
    if not quiet:
        for what, out in (("Page", page), ("Figures", json)):
            if out is not None:
                say(f"{what}: {out}")
