"""``tutelage compare``."""

from pathlib import Path

from tutelage.cli.console import OUT, say, say_json, table
from tutelage.pipeline.standalone import compare, scores_of
from tutelage.records.comparison import Comparison
from tutelage.statistics import Difference


def compare_command(
    before: Path, after: Path, *, labels: tuple[str | None, str | None], any_engine: bool, json: bool
) -> None:
    """Compare two models in pairs and print the differences with their intervals."""
    old, new = scores_of(before, labels[0]), scores_of(after, labels[1])
    names = f"{before} ({old.summary.label})", f"{after} ({new.summary.label})"
    found = compare(old, new, labels=names, any_engine=any_engine)
    if json:
        say_json(found.model_dump_json())
    else:
        print_comparison(found)


def print_comparison(found: Comparison) -> None:
    """Print macro, dimensions, facets and transfer."""
    say(f"{found.after}\nagainst {found.before}, on the same {found.split} items\n")
    shown = table("", "before", "after", "difference", "95 % interval", "p (Holm)", "n", right=("before", "after", "n"))
    shown.add_row("macro", *_numbers(found.macro), "", str(found.macro.n), style="bold")
    for name, difference in found.dimensions.items():
        p = found.p_holm.get(name)
        shown.add_row(name, *_numbers(difference), "" if p is None else f"{p:.4f}", str(difference.n))
    for name, difference in found.facets.items():
        shown.add_row(f"  {name}", *_numbers(difference), "", str(difference.n), style="dim")
    if found.transfer is not None:
        shown.add_row("transfer", *_numbers(found.transfer), "", str(found.transfer.n), style="bold")
    OUT.print(shown)


def _numbers(difference: Difference) -> tuple[str, str, str, str]:
    if difference.estimate is None or difference.before is None or difference.after is None:
        return "–", "–", "–", difference.reason or "not scored"
    return (
        f"{difference.before:.3f}",
        f"{difference.after:.3f}",
        f"{difference.estimate:+.3f}",
        f"{difference.low:+.3f} to {difference.high:+.3f}",
    )
