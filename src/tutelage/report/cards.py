"""A model card for the promoted weights, in the form that model hubs read: facts at the top, then words."""

from pathlib import Path

import yaml

from tutelage.files import write_atomic
from tutelage.recipe.methods import saves_whole_model
from tutelage.records.scores import ScoreSummary
from tutelage.report import losses, numbers, tables
from tutelage.report.contamination import contamination
from tutelage.report.headline import caveats, engine_words, headline
from tutelage.report.names import rival
from tutelage.report.reading import RunData, read_run
from tutelage.runs import RunDirectory


def write_card(run: RunDirectory) -> Path:
    """Write ``report/card.md`` of a run and return its path; no text of a record stands in it.

    Raises
    ------
    DataError: files of the run that do not hold what they should.
    StorageError: a file that cannot be read, or a card that cannot be written.
    """
    path = run.path / "report" / "card.md"
    write_atomic(path, card(read_run(run), weights=run.best.weights))
    return path


def card(data: RunData, *, weights: str | None) -> str:
    """Return the card; ``weights`` is where the promoted ones lie in the run, None if the start was kept."""
    recipe = data.recipe
    found = headline(data)
    facts: dict[str, object] = {"base_model": recipe.model.id, "tags": ["instruction-tuning", "tutelage"]}
    if weights is not None and not saves_whole_model(recipe.tune.method):
        facts["library_name"] = "peft"
    parts = [f"---\n{yaml.safe_dump(facts, sort_keys=False)}---\n", f"# {recipe.name}\n", f"**{found.status}.**"]
    parts += [" ".join(found.words)]
    if weights is not None:
        parts += [f"Weights: `{weights}` of the run, tuned from `{recipe.model.id}` with seed {recipe.seed}."]
    rows = tables.score_rows(data)
    if rows:
        parts += ["## Scores on test\n", _before_after(rows, str(data.shown))]
        parts += [leak] if (leak := contamination(data)) else []
    if data.outcome and data.outcome.losses:
        parts += ["## Loss of held-out references\n", _losses(losses.loss_rows(data.outcome.losses)), losses.NOT_PROVED]
    if data.scores:
        parts += ["## Every model on the same items\n", _models(data.scores)]
    if data.manifest:
        made = ", ".join(f"{name} {version}" for name, version in data.manifest.versions.items())
        parts += ["## Made with\n", f"{made}. Recipe SHA-256: `{data.manifest.recipe_sha256}`."]
    limits = "\n".join(f"- **{heading}.** {words}" for heading, words in caveats(data))
    return "\n\n".join([*parts, "## What these figures do not prove\n", limits]).replace("\n\n\n", "\n\n") + "\n"


def _before_after(rows: list[tables.ScoreRow], label: str) -> str:
    lines = [f"| measure | start | {label} | difference | 95 % interval | n |", "|---|---|---|---|---|---|"]
    for row in rows:
        change = row.difference
        known = change is not None and change.estimate is not None
        lines.append(
            f"| {row.name} | {_value(row.before.value)} | {_value(row.after.value)} | "
            f"{numbers.signed(change.estimate) if change and known else 'not compared'} | "
            f"{numbers.span(change.low, change.high, is_difference=True) if change and known else ''} | {row.after.n} |"
        )
    return "\n".join(lines)


def _losses(rows: list[losses.LossRow]) -> str:
    lines = ["| compared | rows | loss before | loss after | change | interval |", "|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row.before_label} → {row.after_label} | {row.rows:,} | {row.before} | {row.after} | {row.change} | "
            f"{f'{row.confidence}: {row.low} to {row.high}' if row.low else row.reason} |"
        )
    return "\n".join(lines)


def _models(scores: dict[str, ScoreSummary]) -> str:
    lines = ["| model | mean over cells | ended | words | repeated 5-grams | engine |", "|---|---|---|---|---|---|"]
    for label, found in scores.items():
        macro = found.macro
        value = (
            f"{_value(macro.value)} [{numbers.span(macro.low, macro.high)}]" if macro.value is not None else "unscored"
        )
        lines.append(
            f"| {rival(label)} | {value} | {numbers.share(found.share_ended)} | {numbers.decimal(found.mean_words)} | "
            f"{numbers.share(found.repeated_5grams)} | {engine_words(found.engine.engine, found.engine.dtype)} |"
        )
    return "\n".join(lines)


def _value(value: float | None) -> str:
    return "unscored" if value is None else numbers.rate(value)
