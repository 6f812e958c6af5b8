"""A model card for the promoted weights or an exported folder, in the form that model hubs read: facts at the top, then
words."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from tutelage.files import write_atomic
from tutelage.recipe.methods import saves_whole_model
from tutelage.recipe.model import ModelSection
from tutelage.recipe.tasks import TaskSection
from tutelage.recipe.tune import TuneSection
from tutelage.records.scores import ScoreSummary
from tutelage.report import losses, numbers, tables
from tutelage.report.artifact import Artifact, gate, licenses, lineage, tuning, use
from tutelage.report.artifact import facts as artifact_facts
from tutelage.report.contamination import contamination
from tutelage.report.headline import caveats, engine_words, headline
from tutelage.report.names import rival
from tutelage.report.reading import START, RunData, read_run
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


def card(data: RunData, *, weights: str | None, artifact: Artifact | None = None) -> str:
    """Return the card; ``weights`` is where the promoted ones lie in the run, None if the start was kept.

    With an ``artifact`` it is the card of an exported folder: of the run's figures those of another model are left out.
    """
    recipe = data.recipe
    data = _about(data, artifact.label) if artifact is not None else data
    found = headline(data)
    adapter = (
        artifact.is_adapter
        if artifact is not None
        else (weights is not None and not saves_whole_model(recipe.tune.method))
    )
    parts = _head(recipe.name, artifact_facts(recipe.model.id, artifact, adapter=adapter))
    if artifact is not None:
        which = "the model that this run started from, untuned" if artifact.label == START else artifact.label
        parts += [f"{artifact.holds} It is {which}.", *use(artifact), "## The run\n"]
    parts += [f"**{found.status}.**", " ".join(found.words)]
    if artifact is not None:
        parts += _made(data, artifact)
    elif weights is not None:
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
    return _joined([*parts, "## What these figures do not prove\n", limits])


def tuning_card(
    artifact: Artifact,
    *,
    name: str,
    model: ModelSection,
    section: TuneSection,
    seed: int,
    rows: int,
    data: str,
    tasks: Sequence[TaskSection] = (),
) -> str:
    """Return the card of a model that ``tutelage tune`` made of the ``rows`` of the file ``data``, or of prompts of
    ``tasks``: it has no scores."""
    told = tuning(section, seed=seed, rows=rows, steps=None)
    unknown = "" if tasks else "The rows it was tuned on"
    parts = _head(name, artifact_facts(model.id, artifact, adapter=artifact.is_adapter))
    parts += [f"{artifact.holds} It was tuned from `{model.id}`, and **neither scored nor gated**."]
    parts += [*use(artifact), "## How it was tuned\n", told]
    parts += ["No scores stand here because none were made: `tutelage evaluate` scores it, `tutelage compare` sets it "]
    parts[-1] += (
        "against its start. Whether its rows share words with what it will be scored on was not looked at here."
    )
    return _joined([*parts, *licenses(model, artifact, tasks, data=data or unknown)])


def _head(name: str, found: dict[str, object]) -> list[str]:
    return [f"---\n{yaml.safe_dump(found, sort_keys=False)}---\n", f"# {name}\n"]


def _joined(parts: list[str]) -> str:
    return "\n\n".join(parts).replace("\n\n\n", "\n\n") + "\n"


def _about(data: RunData, label: str) -> RunData:
    """The run as the card of its model ``label`` tells it: comparisons of another model are not its own."""
    if label == data.shown or data.outcome is None:
        return replace(data, shown=label)
    return replace(data, shown=label, outcome=data.outcome.model_copy(update={"comparisons": (), "losses": ()}))


def _made(data: RunData, artifact: Artifact) -> list[str]:
    """How the exported model was tuned and gated, of which rows, and whose work that is."""
    found = next((one for one in data.rounds if f"round {one.number}" == artifact.label), None)
    parts = []
    if found is not None:
        facts = next((one.facts for one in data.tunings if one.name == f"Round {found.number}"), None)
        rows, steps = (facts.rows, facts.steps) if facts is not None else (None, None)
        told = tuning(data.recipe.tune, seed=data.recipe.seed, rows=rows, steps=steps)
        parts += ["## How it was tuned and gated\n", told, lineage(found.kept)]
        parts += [gate(found.verdict) if found.verdict is not None else "It was not gated."]
    return [*(part for part in parts if part), *licenses(data.recipe.model, artifact, data.recipe.tasks)]


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
