"""Several seeds of one recipe: the loop against its rivals, per seed and over seeds."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pydantic import JsonValue

from tutelage.errors import DataError, Problem
from tutelage.evaluate.compare import compare
from tutelage.evaluate.summary import macro_design
from tutelage.records.replication import (
    LOOP,
    RIVALS,
    ReplicatedComparison,
    ReplicatedDifference,
    ReplicatedModel,
    Replication,
    SeedValues,
)
from tutelage.records.scores import ItemScore, Outcome, Score, ScoreSummary
from tutelage.seeds import derive_seed
from tutelage.statistics import Design, Difference, Replicate, hierarchical_bootstrap

Pair = tuple[ItemScore, ItemScore]
Build = Callable[[Sequence[Pair]], Replicate]
SHOWN_KEYS = 10


@dataclass(frozen=True, slots=True)
class SeedRun:
    """What one finished run gave on the test split.

    ``name`` says which run it is in errors. ``scores`` and ``summaries`` are by label; ``loop`` labels the model that
    stands for the loop (empty: nothing was tuned). ``recipe`` is the run's as JSON, without what may differ by place.
    """

    name: str
    seed: int
    recipe: Mapping[str, JsonValue]
    scores: Mapping[str, Sequence[ItemScore]]
    summaries: Mapping[str, ScoreSummary]
    loop: str = ""
    promoted_round: int = 0
    verdicts: tuple[Outcome, ...] = ()
    finished: bool = True


def replicate(runs: Sequence[SeedRun], *, resamples: int = 10_000) -> Replication:
    """Return how the loop does against start, few-shot prompt, expert rows and placebo, per seed and over seeds.

    Within a seed the intervals are those that the run itself reports (the bootstrap has the same seed); over seeds
    they are of the hierarchical bootstrap with ``resamples``. Templates and behaviors that recur under other seeds
    count as the same clusters.

    Raises ``DataError`` with every fault: fewer than two seeds, a seed twice, an unfinished run, a missing rival,
    models of one run that were scored on different items, recipes that differ in more than seed and name.
    """
    ordered = sorted(runs, key=lambda run: run.seed)
    if problems := list(_problems(ordered)):
        raise DataError("these runs cannot be put into one table", problems)
    shared = [label for label in ordered[0].summaries if all(label in run.summaries for run in ordered)]
    others = [label for label in shared if label not in RIVALS and any(run.loop != label for run in ordered)]
    return Replication(
        split=ordered[0].summaries[ordered[0].loop].split,
        seeds=tuple(run.seed for run in ordered),
        loop={run.seed: run.loop for run in ordered},
        promoted_rounds={run.seed: run.promoted_round for run in ordered},
        verdicts={run.seed: run.verdicts for run in ordered},
        models=tuple(_model(label, ordered) for label in (*RIVALS, *others, LOOP)),
        comparisons=tuple(_against(rival, ordered, resamples=resamples) for rival in RIVALS),
    )


def _problems(runs: Sequence[SeedRun]) -> Iterator[Problem]:
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < 2:
        yield Problem(
            "a mean over seeds needs at least two", received=f"{len(set(seeds))}", remedy="run the recipe under another"
        )
    for seed in sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        names = ", ".join(run.name for run in runs if run.seed == seed)
        yield Problem(f"seed {seed} is given more than once", received=names, remedy="give one run a seed")
    for run in runs:
        if run.finished:
            yield from _problems_of(run)
        else:
            remedy = "give its command again: it goes on where it stopped"
            yield Problem("the run has not finished", run.name, remedy=remedy)
    for run in runs[1:]:
        if keys := _differing(runs[0].recipe, run.recipe):
            shown = ", ".join(keys[:SHOWN_KEYS]) + (", …" if len(keys) > SHOWN_KEYS else "")
            what = f"its recipe differs from that of {runs[0].name} in more than seed and name"
            yield Problem(what, run.name, shown, "run both with the same recipe")


def _problems_of(run: SeedRun) -> Iterator[Problem]:
    if not run.loop:
        yield Problem("nothing was tuned, so there is no loop to compare", run.name)
    wanted = [*RIVALS, *([run.loop] if run.loop else [])]
    missing = [label for label in wanted if label not in run.scores or label not in run.summaries]
    if missing:
        remedy = "switch controls.few_shot, expert_only and placebo on, and give evaluate.test items"
        yield Problem("the run lacks scores of a model", run.name, ", ".join(missing), remedy)
    present = [label for label in wanted if label in run.scores]
    reference = {_identity(score) for score in run.scores[present[0]]} if present else set()
    for label in present[1:]:
        if other := reference ^ {_identity(score) for score in run.scores[label]}:
            ids = sorted({found[0] for found in other})
            what = f"{label} and {present[0]} were not scored on the same items"
            yield Problem(what, run.name, ", ".join(ids[:3]) + (", …" if len(ids) > 3 else ""))


def _identity(score: ItemScore) -> tuple[str, str, str, str, str, bool]:
    return score.item_id, score.dimension, score.level, score.group, score.facet, score.transfer


def _differing(one: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> list[str]:
    """The dotted keys in which two recipes differ, seed and name left out."""
    a, b = dict(_leaves(dict(one))), dict(_leaves(dict(other)))
    return sorted(key for key in a.keys() | b.keys() if key not in ("seed", "name") and a.get(key) != b.get(key))


def _leaves(value: JsonValue, at: str = "") -> Iterator[tuple[str, str]]:
    inside = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
    if not inside:
        yield at, json.dumps(value)
    for key, found in inside.items():
        yield from _leaves(found, f"{at}.{key}" if at else str(key))


def _model(label: str, runs: Sequence[SeedRun]) -> ReplicatedModel:
    labels = {run.seed: run.loop if label == LOOP else label for run in runs}
    found = {run.seed: run.summaries[labels[run.seed]] for run in runs}

    def values(read: Callable[[ScoreSummary], float | None]) -> SeedValues:
        return _seed_values({seed: read(summary) for seed, summary in found.items()})

    def scores(part: Callable[[ScoreSummary], Mapping[str, Score]]) -> dict[str, SeedValues]:
        names = dict.fromkeys(name for summary in found.values() for name in part(summary))
        return {
            name: _seed_values({seed: _value(part(summary).get(name)) for seed, summary in found.items()})
            for name in names
        }

    return ReplicatedModel(
        label=label,
        labels=labels,
        macro=values(lambda summary: summary.macro.value),
        dimensions=scores(lambda summary: summary.dimensions),
        facets=scores(lambda summary: summary.facets),
        transfer=values(lambda summary: _value(summary.transfer)),
        share_ended=values(lambda summary: summary.share_ended),
        mean_words=values(lambda summary: summary.mean_words),
        repeated_5grams=values(lambda summary: summary.repeated_5grams),
        cells={seed: summary.cells for seed, summary in found.items()},
        transfer_cells={seed: summary.transfer_cells for seed, summary in found.items()},
    )


def _value(score: Score | None) -> float | None:
    return score.value if score is not None else None


def _seed_values(by_seed: dict[int, float | None]) -> SeedValues:
    known = [value for value in by_seed.values() if value is not None]
    if len(known) < len(by_seed):
        return SeedValues(by_seed=by_seed)
    return SeedValues(by_seed=by_seed, mean=fmean(known), deviation=stdev(known))


def _against(rival: str, runs: Sequence[SeedRun], *, resamples: int) -> ReplicatedComparison:
    pairs = {run.seed: _pairs(run, rival) for run in runs}
    within = {
        run.seed: compare(
            run.scores[rival],
            run.scores[run.loop],
            labels=(rival, run.loop),
            split=run.summaries[run.loop].split,
            seed=derive_seed(run.seed, "compare", rival, run.loop),
        )
        for run in runs
    }
    ordinary = {seed: [pair for pair in found if not pair[0].transfer] for seed, found in pairs.items()}
    transfer = {seed: [pair for pair in found if pair[0].transfer] for seed, found in pairs.items()}

    def over(
        name: str, by_seed: Mapping[int, Difference | None], chosen: Mapping[int, Sequence[Pair]], build: Build
    ) -> ReplicatedDifference:
        replicates = {seed: build(found) for seed, found in chosen.items()}
        seed = derive_seed(0, "replicate", rival, name)
        return ReplicatedDifference(
            by_seed={seed: difference for seed, difference in by_seed.items() if difference is not None},
            over_seeds=hierarchical_bootstrap(replicates, resamples=resamples, seed=seed),
        )

    each = within.items()
    dimensions = dict.fromkeys(name for _, found in each for name in found.dimensions)
    facets = dict.fromkeys(name for _, found in each for name in found.facets)
    return ReplicatedComparison(
        rival=rival,
        macro=over("macro", {seed: found.macro for seed, found in each}, ordinary, _macro),
        dimensions={
            name: over(name, {s: found.dimensions.get(name) for s, found in each}, _of(ordinary, name), _macro)
            for name in dimensions
        },
        facets={
            name: over(name, {s: found.facets.get(name) for s, found in each}, _of(ordinary, name), _rate)
            for name in facets
        },
        transfer=over("transfer", {seed: found.transfer for seed, found in each}, transfer, _macro)
        if any(transfer.values())
        else None,
    )


def _pairs(run: SeedRun, rival: str) -> list[Pair]:
    of_loop = {score.item_id: score for score in run.scores[run.loop]}
    return [(score, of_loop[score.item_id]) for score in run.scores[rival]]


def _of(pairs: Mapping[int, Sequence[Pair]], name: str) -> dict[int, list[Pair]]:
    """The pairs of one dimension, or of one facet ``dimension/facet``."""
    dimension, _, facet = name.partition("/")
    return {
        seed: [p for p in found if p[0].dimension == dimension and (not facet or p[0].facet == facet)]
        for seed, found in pairs.items()
    }


def _macro(pairs: Sequence[Pair]) -> Replicate:
    """Cells with equal weight, as every macro score has them."""
    both = [None if old.counted is None or new.counted is None else 1.0 for old, new in pairs]
    kept, design, _ = macro_design([old for old, _ in pairs], both)
    return Replicate([pairs[i][0].counted for i in kept], [pairs[i][1].counted for i in kept], design)


def _rate(pairs: Sequence[Pair]) -> Replicate:
    """One facet: its levels with equal weight."""
    design = Design([old.group for old, _ in pairs], [old.level for old, _ in pairs])
    return Replicate([old.counted for old, _ in pairs], [new.counted for _, new in pairs], design)
