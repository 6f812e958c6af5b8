"""``tutelage ablate``."""

from dataclasses import dataclass
from pathlib import Path

from tutelage.cli.console import OUT, Terminal, say, say_json, table, waiting
from tutelage.recipe import load_recipe
from tutelage.records.ablation import Ablation, GroupKind
from tutelage.report.numbers import duration
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory
from tutelage.statistics import Difference


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is left out of which run."""

    by: GroupKind
    only: list[str]
    matched: bool


def ablate_command(
    path: Path,
    wanted: Wanted,
    *,
    out: Path | None,
    settings: list[str],
    quiet: bool,
    json: bool,
    offline: bool,
    dry_run: bool,
) -> None:
    """Say what each group of rows gave, and write it into the run and its report."""
    recipe = load_recipe(path, settings)
    folder = out if out is not None else Path("runs") / recipe.name
    if dry_run:
        _say_plan(folder, wanted, json=json)
        return
    with waiting("loading torch", quiet=quiet or json):
        from tutelage.pipeline.ablation import ablate
    with Terminal(quiet=quiet, json=json) as terminal:
        found = ablate(
            recipe,
            by=wanted.by,
            only=wanted.only,
            matched=wanted.matched,
            out=folder,
            emit=terminal,
            offline=offline,
        )
    report = write_report(RunDirectory.open(folder))
    if json:
        say_json(found.model_dump_json())
    elif not quiet:
        _print(found)
        say(f"\nReport: {report}")


def _say_plan(folder: Path, wanted: Wanted, *, json: bool) -> None:
    from tutelage.pipeline.ablation import planned

    plans = planned(RunDirectory.open(folder), by=wanted.by, only=wanted.only, matched=wanted.matched)
    if json:
        for plan in plans:
            say_json({"name": plan.name, "rows": plan.rows, "left": plan.left, "seconds": plan.seconds})
        return
    shown = table(wanted.by, "rows left out", "rows learned", "time", right=("rows left out", "rows learned", "time"))
    for plan in plans:
        time = plan.skipped or duration(plan.seconds)
        shown.add_row(plan.name, f"{plan.rows:,}", f"{plan.left:,}", time)
    known = [plan.seconds for plan in plans if plan.seconds is not None]
    shown.add_row("in all", "", "", duration(sum(known)) if known else "?", style="bold")
    OUT.print(shown)
    say("\nTimes by what the run's own tuning and test took. Nothing was started.")


def _print(found: Ablation) -> None:
    columns = [found.by, "rows", "contribution", "95 % interval", "p (Holm)"]
    with_matched = any(group.matched is not None for group in found.groups)
    shown = table(*columns, *(["beyond its number", "95 % interval "] if with_matched else []), right=("rows",))
    for group in found.groups:
        beyond = _numbers(group.matched.macro) if group.matched is not None else ("", "")
        p = "" if group.p_holm is None else f"{group.p_holm:.4f}"
        cells = [group.name, f"{group.rows:,}", *_numbers(group.contribution.macro), p]
        shown.add_row(*cells, *(beyond if with_matched else ()))
    OUT.print(shown)
    say(found.words)


def _numbers(difference: Difference) -> tuple[str, str]:
    if difference.estimate is None:
        return "–", difference.reason or "not scored"
    return f"{difference.estimate:+.3f}", f"{difference.low:+.3f} to {difference.high:+.3f}"
