"""Leave one source out: what each paradigm, or each source of rows, contributed to a run's model.

The start is tuned again as the run tuned it, each time without the rows of one group, and scored on the run's test
items. A group brings rows and thereby also steps: ``matched`` tunes once more without as many rows drawn from all of
them, so that what the group gave beyond its number can be told from its number.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import InputErrors, Problem, RunError
from tutelage.evaluate.compare import adjusted, compare, p_value
from tutelage.events import Emit, silent
from tutelage.files import write_atomic
from tutelage.pipeline.final import place_of
from tutelage.pipeline.items import final_items
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.single import open_shop
from tutelage.pipeline.stages import Measured, measure, tune_stage
from tutelage.recipe import Recipe
from tutelage.records import Example, Item
from tutelage.records.ablation import Ablation, GroupKind, LeftOut
from tutelage.records.comparison import Comparison
from tutelage.records.jsonl import read_records
from tutelage.records.outcome import RunOutcome
from tutelage.runs import RunDirectory, read_state
from tutelage.seeds import derive_seed

FOLDER = "ablation"
NO_OTHERS = "there are no other rows to learn from"
ONE_SEED = (
    "One seed: two tunings that differ in their seed alone differ too, so repeat the run with other seeds before a "
    "source is dropped for good."
)
_NAMES: dict[GroupKind, Callable[[Example], str]] = {
    "paradigm": lambda row: row.lineage.paradigm,
    "source": lambda row: f"{row.lineage.paradigm}/{row.lineage.source}",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """What will be done for one group: its ``rows`` are left out, ``left`` are learned; ``seconds`` by what the run's
    own tuning and test took, None where that was not recorded. ``skipped``: why it cannot be left out."""

    name: str
    rows: int
    left: int
    seconds: float | None
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class _Whole:
    """The model that learned everything."""

    round: int
    label: str
    rows: list[Example]


def planned(
    run: RunDirectory, *, by: GroupKind = "paradigm", only: Sequence[str] = (), matched: bool = False
) -> list[Planned]:
    """Return what :func:`ablate` would do in a finished run, by group; nothing is started.

    Raises
    ------
    RunError: the run is not finished, tuned nothing or was scored on no test item. InputErrors: ``only`` names groups
    that it does not have.
    """
    whole = _whole(run)
    return [
        Planned(
            name=name,
            rows=len(whole.rows) - len(left),
            left=len(left),
            seconds=_seconds(run, whole, share=len(left) / len(whole.rows), matched=matched) if left else None,
            skipped="" if left else NO_OTHERS,
        )
        for name, left in _groups(whole, by, only).items()
    ]


def ablate(
    recipe: Recipe,
    *,
    by: GroupKind = "paradigm",
    only: Sequence[str] = (),
    matched: bool = False,
    out: Path | None = None,
    emit: Emit = silent,
    offline: bool = False,
) -> Ablation:
    """Tune without each group of a finished run's rows, score, compare, and write ``ablation/<by>.json``.

    The run is that of the recipe in ``out`` (default ``runs/<name>``), the rows those that its model learned from: the
    promoted one, or the last candidate. Resumable by the same call; what was made for one group is kept for later
    calls, whatever ``only`` they name. The figures are those of all groups that are made by then.

    Raises
    ------
    What :func:`planned` raises; RunError too where the folder belongs to another recipe.
    """
    path = out if out is not None else Path("runs") / recipe.name
    planned(RunDirectory.open(path), by=by, only=only)
    with open_shop(recipe, path, emit=emit, offline=offline) as shop:
        whole = _whole(shop.run)
        bench = _Bench(shop, whole, final_items(shop.recipe, shop.tasks), by, matched)
        weights = shop.run.round(whole.round) / "tune" / "weights"
        tested = bench.test(place_of(whole.label), Trained(whole.round, weights), whole.label)
        groups, chosen = _groups(whole, by, ()), _groups(whole, by, only)
        wanted = {name: left for name, left in groups.items() if left and (name in chosen or bench.has(name))}
        found = [bench.left_out(name, left, tested) for name, left in wanted.items()]
        result = _result(by, whole, found, skipped=[name for name, left in groups.items() if not left])
        write_atomic(path / FOLDER / f"{by}.json", result.model_dump_json(indent=1) + "\n")
        return result


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where a model is made without some rows and asked what the run's own was asked."""

    shop: Shop
    whole: _Whole
    items: Sequence[Item]
    by: GroupKind
    matched: bool

    def has(self, name: str) -> bool:
        """Whether a group was left out before."""
        return self.shop.run.state(f"{self._place(name)}/test") is not None

    def left_out(self, name: str, left: Sequence[Example], tested: Measured) -> LeftOut:
        """Learn ``left`` alone, and, if wanted or made before, as many rows drawn from all."""
        label, place, many = f"without {name}", self._place(name), len(self.whole.rows)
        without = self._learned(place, left, label)
        contribution = self._compare((label, without), (self.whole.label, tested))
        beside, as_many = f"{place}-matched", None
        if self.matched or self.shop.run.state(f"{beside}/test") is not None:
            other = f"without {many - len(left):,} drawn rows"
            drawn = _drawn(self.whole.rows, len(left), seed=derive_seed(self.shop.seed, "ablation", name))
            as_many = self._compare((label, without), (other, self._learned(beside, drawn, other)))
        return LeftOut(
            name=name,
            rows=many - len(left),
            share=1 - len(left) / many,
            contribution=contribution,
            matched=as_many,
            p=p_value(contribution.macro),
        )

    def test(self, stage: str, model: Trained, label: str) -> Measured:
        """Ask a model the run's test items."""
        run = self.shop.run
        if run.state(stage) is not None:
            return measure(self.shop, run.path / stage, model, self.items, label=label)
        with run.stage(stage) as folder:
            return measure(self.shop, folder, model, self.items, label=label)

    def _place(self, name: str) -> str:
        return f"{FOLDER}/{self.by}/{name.replace('/', '-')}"

    def _learned(self, place: str, rows: Sequence[Example], label: str) -> Measured:
        tuned = tune_stage(self.shop, f"{place}/tune", rows, round=self.whole.round)
        return self.test(f"{place}/test", tuned, label)

    def _compare(self, before: tuple[str, Measured], after: tuple[str, Measured]) -> Comparison:
        return compare(
            before[1].examined.scores,
            after[1].examined.scores,
            labels=(before[0], after[0]),
            split="test",
            seed=derive_seed(self.shop.seed, "compare", before[0], after[0]),
            engines=(before[1].summary.engine, after[1].summary.engine),
        )


def _whole(run: RunDirectory) -> _Whole:
    where = str(run.path)
    if not run.finished:
        remedy = "finish it with: tutelage run"
        raise RunError("only of a finished run can be told what its sources gave", where=where, remedy=remedy)
    outcome = read_state(run.path / "outcome.json", RunOutcome)
    round = outcome.promoted_round or len(outcome.verdicts)
    if not round:
        raise RunError("this run tuned nothing, so no source gave anything", where=where)
    label = f"round {round}"
    if label not in outcome.scores:
        remedy = "run it with evaluate.test above 0, in another folder"
        raise RunError("its models were scored on no test item", where=where, remedy=remedy)
    return _Whole(round, label, read_records(run.round(round) / "curate" / "records.jsonl", Example))


def _groups(whole: _Whole, by: GroupKind, only: Sequence[str]) -> dict[str, list[Example]]:
    """The rows that are left without each group, by its name."""
    name_of = _NAMES[by]
    names = sorted({name_of(row) for row in whole.rows})
    if unknown := [name for name in only if name not in names]:
        what, remedy = f"no row that {whole.label} learned from is of this {by}", f"it has {', '.join(names)}"
        raise InputErrors("ablate", [Problem(what, "--only", name, remedy) for name in unknown])
    return {name: [row for row in whole.rows if name_of(row) != name] for name in names if not only or name in only}


def _seconds(run: RunDirectory, whole: _Whole, *, share: float, matched: bool) -> float | None:
    tuned, tested = run.state(f"rounds/{whole.round}/tune"), run.state(place_of(whole.label))
    if tuned is None or tested is None:
        return None
    return (share * tuned.seconds + tested.seconds) * (2 if matched else 1)


def _drawn(rows: Sequence[Example], number: int, *, seed: int) -> list[Example]:
    """``number`` of ``rows`` in their order, by a draw that does not depend on it."""
    kept = {row.id for row in random.Random(seed).sample(sorted(rows, key=lambda row: row.id), number)}
    return [row for row in rows if row.id in kept]


def _result(by: GroupKind, whole: _Whole, found: Sequence[LeftOut], *, skipped: Sequence[str]) -> Ablation:
    holm = adjusted({group.name: group.p for group in found})
    groups = tuple(group.model_copy(update={"p_holm": holm[group.name]}) for group in found)
    words = [_words(whole, group) for group in groups]
    words += [f"{name} could not be left out: {NO_OTHERS}." for name in skipped]
    return Ablation(
        by=by,
        whole=whole.label,
        rows=len(whole.rows),
        groups=groups,
        skipped=dict.fromkeys(skipped, NO_OTHERS),
        words=" ".join([*words, ONE_SEED] if groups else words),
    )


def _words(whole: _Whole, group: LeftOut) -> str:
    macro = group.contribution.macro
    of = f"{group.name} ({group.rows:,} of {len(whole.rows):,} rows)"
    if macro.estimate is None:
        return f"What {of} gave cannot be told: no test item is scored."
    if macro.low > 0:
        verdict = "it helped"
    elif macro.high < 0:
        verdict = "it harmed"
    else:
        verdict = "not told from nothing"
    text = f"{of} gave {macro.estimate:+.3f} (95 % interval {macro.low:+.3f} to {macro.high:+.3f}): {verdict}"
    if group.matched is not None and group.matched.macro.estimate is not None:
        beyond = group.matched.macro
        text += f"; beyond its number of rows {beyond.estimate:+.3f} ({beyond.low:+.3f} to {beyond.high:+.3f})"
    return f"{text}."
