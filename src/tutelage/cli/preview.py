"""``tutelage preview``: what a model would learn from, before it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from rich.text import Text

from tutelage.cli.console import OUT, say, say_json, waiting
from tutelage.cli.targets import find_target
from tutelage.construct.expert import expert_rows
from tutelage.errors import InputErrors, Problem, TemplateError
from tutelage.models.load import load_template
from tutelage.models.template import ChatTemplate
from tutelage.models.template_file import template_of
from tutelage.pipeline.hub_rows import rows_file
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ExpertSection
from tutelage.recipe.tune import TuneSection
from tutelage.records import Example
from tutelage.records.importers import import_examples
from tutelage.records.jsonl import read_records
from tutelage.tasks.build import build_tasks, demonstrations_of

BARS = 10
BAR_WIDTH = 40
OPEN, CLOSE = "⟦", "⟧"  # marks what is trained where there is no color


@dataclass(frozen=True, slots=True)
class Measured:
    """A row's tokens and how many of them are trained; ``fault`` says why it cannot be used."""

    row: Example
    tokens: int
    trained: int
    fault: str = ""


def preview_command(
    target: Path,
    settings: list[str],
    *,
    model: str | None,
    rows: int,
    max_tokens: int | None,
    json: bool,
    offline: bool,
) -> None:
    """Render rows with their loss mask and count what would be dropped."""
    found, where, recipe = _rows(target, settings, offline=offline)
    named = model or (recipe.model.id if recipe is not None else None)
    if named is None:
        raise InputErrors("preview", [Problem("no model is named", remedy="say whose chat template: --model ID")])
    own = recipe if model is None else None  # --model brings a chat template of its own
    revision = own.model.revision if own is not None else None
    replaced = template_of(own.model, own.folder) if own is not None else None
    new = own.model.new_tokens if own is not None else ()
    limit = max_tokens or (recipe.tune if recipe is not None else TuneSection()).max_tokens
    with waiting(f"reading the chat template of {named}", quiet=json):
        template = load_template(named, revision=revision, offline=offline, template=replaced, new_tokens=new)
        measured = [_measure(template, row) for row in found]
    usable = [one for one in measured if not one.fault and one.tokens <= limit]
    too_long = [one for one in measured if not one.fault and one.tokens > limit]
    faulty = [one for one in measured if one.fault]
    if json:
        say_json(_as_json(named, limit, measured))
        return
    used = f"of {named}" if own is None or own.model.template == "own" else f"{own.model.template} for {named}"
    say(f"{len(found):,} {where}, chat template {used}")
    for one in [*usable, *too_long, *faulty][:rows]:
        _print_row(template, one, limit)
    _print_counts(measured, usable, limit)
    _print_dropped(too_long, faulty, limit)


def _rows(target: Path, settings: list[str], *, offline: bool) -> tuple[list[Example], str, Recipe | None]:
    """The rows, what they are in words, and the recipe if there is one."""
    is_recipe = target.suffix.lower() in {".yaml", ".yml"}
    if not is_recipe and not (target / "recipe.json").is_file():
        if settings:
            raise InputErrors("preview", [Problem("--set overrides keys of a recipe, and this is a data file")])
        return import_examples(target, author="expert"), f"rows of {target}", None
    recipe = find_target(str(target), settings, None).recipe
    assert recipe is not None
    curated = sorted(target.glob("rounds/*/curate/records.jsonl"), key=lambda file: int(file.parts[-3]))
    if not is_recipe and curated:
        return read_records(curated[-1], Example), f"rows of {curated[-1].parent}", recipe
    if recipe.tune.data is not None:
        file = rows_file(recipe.tune.data, recipe.folder, offline=offline).file
        return import_examples(file, author="expert"), f"rows of {recipe.tune.data.named}", recipe
    tasks = build_tasks(recipe.tasks, recipe.folder)
    section = recipe.construct.expert or ExpertSection()
    rows = expert_rows(demonstrations_of(list(tasks.values())), section, tasks=tasks, seed=recipe.seed)
    return rows, f"expert rows of {recipe.name}", recipe


def _measure(template: ChatTemplate, row: Example) -> Measured:
    try:
        encoded = template.encode(row.messages)
    except TemplateError as error:
        return Measured(row, 0, 0, str(error))
    # The first token of a row has nothing before it from which it could be predicted.
    return Measured(row, len(encoded), int(encoded.targets[1:].sum()))


def _print_row(template: ChatTemplate, one: Measured, limit: int) -> None:
    labels = " ".join(part for part in (one.row.dimension, one.row.level or "", one.row.lineage.paradigm) if part)
    say(f"\n{one.row.id}  {labels}", style="bold")
    if one.fault:
        say(f"cannot be used: {one.fault}", style="red")
        return
    verdict = f", longer than {limit}: dropped" if one.tokens > limit else ""
    say(f"{one.tokens:,} tokens, {one.trained:,} trained ({one.trained / one.tokens:.0%}){verdict}", style="dim")
    text, spans = template.spans(one.row.messages)
    shown = Text()
    at = 0
    for start, stop in spans:
        shown.append(text[at:start], style="dim")
        shown.append(text[start:stop] if OUT.color_system else OPEN + text[start:stop] + CLOSE, style="bold green")
        at = stop
    shown.append(text[at:], style="dim")
    shown.rstrip()
    OUT.print(shown, soft_wrap=not OUT.is_terminal)


def _print_counts(measured: Sequence[Measured], usable: Sequence[Measured], limit: int) -> None:
    if not usable:
        return
    tokens, trained = sum(one.tokens for one in usable), sum(one.trained for one in usable)
    mark = "green" if OUT.color_system else f"between {OPEN} and {CLOSE}"
    say(f"\nTrained is what is {mark}: {trained:,} of {tokens:,} tokens ({trained / tokens:.0%}).")
    lengths = [one.tokens for one in measured if not one.fault]
    for line in histogram(lengths):
        say(f"  {line}")
    least = min(usable, key=lambda one: one.trained / one.tokens)
    share = least.trained / least.tokens
    say(f"Smallest share that is trained: {share:.0%} of {least.tokens:,} tokens ({least.row.id}).")
    say(f"Limit: {limit:,} tokens (tune.max_tokens).")


def _print_dropped(too_long: Sequence[Measured], faulty: Sequence[Measured], limit: int) -> None:
    if too_long:
        are = "1 row is" if len(too_long) == 1 else f"{len(too_long):,} rows are"
        say(f"\n{are} longer than {limit:,} tokens and would be dropped, never truncated:")
        for one in sorted(too_long, key=lambda one: -one.tokens)[:20]:
            say(f"  {one.row.id}  {one.tokens:,} tokens")
    if faulty:
        say(f"\n{len(faulty):,} rows cannot be masked exactly and would be refused:", style="red")
        for one in faulty[:20]:
            say(f"  {one.row.id}  {one.fault}")
    if not too_long and not faulty:
        say("No row would be dropped for its length or its mask.")


def histogram(lengths: Sequence[int]) -> list[str]:
    """Return lines of a histogram in equal steps: range, count, bar."""
    step = max(1, -(-max(lengths) // BARS))
    counts = [0] * (max(lengths) // step + 1)
    for length in lengths:
        counts[length // step] += 1
    first = next(index for index, count in enumerate(counts) if count)
    digits = len(f"{len(counts) * step:,}")
    return [
        f"{index * step:>{digits},} to {(index + 1) * step - 1:>{digits},} tokens {count:>6,} "
        f"{'█' * max(round(BAR_WIDTH * count / max(counts)), min(count, 1))}".rstrip()
        for index, count in enumerate(counts)
        if index >= first
    ]


def _as_json(model: str, limit: int, measured: Sequence[Measured]) -> dict[str, JsonValue]:
    rows: list[JsonValue] = [
        {
            "id": one.row.id,
            "tokens": one.tokens,
            "trained": one.trained,
            "dropped": bool(one.fault) or one.tokens > limit,
            "fault": one.fault,
        }
        for one in measured
    ]
    return {"model": model, "max_tokens": limit, "rows": rows}
