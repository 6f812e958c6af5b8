"""``tutelage doctor``."""

from pathlib import Path

import typer
from rich.text import Text

from tutelage.cli.console import OUT, say, say_json, table, waiting
from tutelage.cli.targets import find_target
from tutelage.models.template_file import template_of
from tutelage.pipeline.doctor import doctor
from tutelage.recipe.model import ModelSection
from tutelage.tune.doctor import Check

WORDS = {"pass": ("pass", "green"), "fail": ("FAIL", "bold red"), "not applicable": ("n/a", "dim")}
FAILED = 1
"""Exit code where a check fails."""


def doctor_command(given: str, *, adapter: Path | None, device: str | None, json: bool, offline: bool) -> None:
    """Make all checks, print them, and leave with :data:`FAILED` if one fails."""
    target = find_target(given, [], adapter)
    section = target.recipe.model if target.recipe is not None else ModelSection(id=target.model)
    template = template_of(section, target.recipe.folder) if target.recipe is not None else None
    wanted = section if device is None else section.model_copy(update={"device": device})
    found: list[Check] = []
    with waiting(f"examining {target.model}", quiet=json):
        for check in doctor(wanted, weights=target.weights, template=template, offline=offline):
            found.append(check)
            if json:
                say_json(check.model_dump(mode="json"))
    if not json:
        _say(target.model, target.weights, found)
    if any(check.verdict == "fail" for check in found):
        raise typer.Exit(FAILED)


def _say(model: str, weights: Path | None, found: list[Check]) -> None:
    say(f"{model} with {weights}\n" if weights is not None else f"{model}\n", style="bold")
    shown = table("", "check", "measured", "tolerated")
    for check in found:
        words, style = WORDS[check.verdict]
        measured = Text(check.measured, style="dim" if check.verdict == "not applicable" else "")
        shown.add_row(Text(words, style=style), check.name, measured, check.tolerance)
    OUT.print(shown)
    say("\nsd: standard deviations of the logits; loss and gradient are relative to their size.", style="dim")
    for check in found:
        if check.remedy:
            say(Text.assemble(("\n→ ", "bold red"), (f"{check.name}: ", "bold"), f"{check.remedy}."))
    counts = {kind: sum(check.verdict == kind for check in found) for kind in WORDS}
    said = f"{counts['pass']} passed, {counts['fail']} failed"
    if counts["not applicable"]:
        said += f", {counts['not applicable']} not applicable"
    if counts["fail"]:
        names = ", ".join(check.name for check in found if check.verdict == "fail")
        say(f"\n{said}: {names}. Mend these before you tune or trust this model.", style="bold red")
    else:
        say(f"\n{said}. Nothing stands in the way of tuning this model here.", style="bold green")
