"""``tutelage construct``."""

from pathlib import Path

from tutelage.cli.console import OUT, Terminal, say, say_json, table
from tutelage.construct.build import Constructed
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.report.tables import judging_words


def construct_command(
    path: Path, round: int, *, out: Path | None, settings: list[str], quiet: bool, json: bool, offline: bool
) -> None:
    """Make a round's data and print what each paradigm gave and took."""
    recipe = load_recipe(path, settings)
    folder = out if out is not None else Path("runs") / recipe.name
    with Terminal(quiet=quiet, json=json) as terminal:
        made = construct(recipe, round=round, out=folder, emit=terminal, offline=offline)
    where = folder / "rounds" / str(round) / "construct"
    if json:
        say_json(
            {
                "folder": str(where),
                "rows": len(made.rows),
                "preferences": len(made.preferences),
                "lessons": len(made.lessons),
                "tradeoffs": [row.model_dump(mode="json") for row in made.tradeoffs],
            }
        )
    elif not quiet:
        _print_tradeoffs(made)
        for row in made.tradeoffs:
            if row.judging is not None and row.judging.judged:
                say(f"judged for {row.paradigm}: {judging_words(row.judging)}")
        say(f"\n{len(made.rows):,} rows and {len(made.preferences):,} preferences in {where}")
        say(f"Next: tutelage curate {path} --round {round}")


def _print_tradeoffs(made: Constructed) -> None:
    numbers = ("attempted", "accepted", "rate", "distinct-2", "tokens a row", "s a row")
    shown = table("paradigm", *numbers, right=numbers)
    for row in made.tradeoffs:
        shown.add_row(
            row.paradigm,
            f"{row.attempted:,}",
            f"{row.accepted:,}",
            "" if row.acceptance is None else f"{row.acceptance:.0%}",
            "" if row.diversity is None else f"{row.diversity:.2f}",
            "" if row.tokens_per_row is None else f"{row.tokens_per_row:,.0f}",
            "" if row.seconds_per_row is None else f"{row.seconds_per_row:.2f}",
        )
    OUT.print(shown)
