"""The end of a run: every candidate and every control scored once on the test split, and compared in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.expert import expert_rows
from tutelage.construct.placebo import placebo
from tutelage.construct.sampling import Place
from tutelage.evaluate.compare import compare
from tutelage.evaluate.heldout import measure_losses
from tutelage.evaluate.imitation import compare_losses
from tutelage.files import write_atomic
from tutelage.pipeline.gating import own_items
from tutelage.pipeline.items import final_items, guarded_items, is_scored
from tutelage.pipeline.levels import estimated_tasks
from tutelage.pipeline.rounds import Progress
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.stages import Measured, curate_stage, measure, tune_stage
from tutelage.recipe.teaching import who_teaches
from tutelage.records import Example, Item, Sampling
from tutelage.records.comparison import Comparison
from tutelage.records.heldout import HeldOutLoss, RowLoss
from tutelage.records.jsonl import read_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import ScoreSummary
from tutelage.reflect.matrix import build_matrix
from tutelage.seeds import derive_seed
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import describe_split

START, FEW_SHOT, EXPERT_ONLY, PLACEBO, TEACHER = "start", "few-shot", "expert-only", "placebo", "teacher"
CONTROLS = (FEW_SHOT, EXPERT_ONLY, PLACEBO, TEACHER)
PLACEBO_SAMPLES = 2


@dataclass(frozen=True, slots=True)
class Tested:
    """One model on the test split: its answers and scores, and the loss of a user's references."""

    measured: Measured
    losses: list[RowLoss]


def finish(shop: Shop, loop: Progress) -> RunOutcome:
    """Score, compare, write ``matrix.json`` and ``outcome.json``, and return the outcome."""
    tested: dict[str, Tested] = {}
    items = final_items(shop.recipe, shop.tasks)
    if items:
        tested[START] = _test(shop, START, Trained(0, None), items)
        for candidate in loop.candidates:
            label = f"round {candidate.round}"
            tested[label] = _test(shop, label, candidate, items)
        tested |= _controls(shop, loop, items)
        _write_matrix(shop, loop, {label: found.measured.summary for label, found in tested.items()})
    outcome = _outcome(shop, loop, tested, items)
    write_atomic(shop.run.path / "outcome.json", outcome.model_dump_json(indent=1) + "\n")
    return outcome


def _test(shop: Shop, label: str, model: Trained, items: Sequence[Item], *, few_shot: bool = False) -> Tested:
    name = place_of(label)
    if shop.run.state(name) is not None:
        return _tested(shop, shop.run.path / name, model, items, label=label, few_shot=few_shot)
    with shop.run.stage(name) as folder:
        return _tested(shop, folder, model, items, label=label, few_shot=few_shot)


def place_of(label: str) -> str:
    """The stage in which the model of this label was asked the test items."""
    return f"final/{label.replace(' ', '-')}"


def _tested(shop: Shop, folder: Path, model: Trained, items: Sequence[Item], *, label: str, few_shot: bool) -> Tested:
    contexts = shop.few_shot(items) if few_shot else None
    measured = measure(shop, folder, model, items, label=label, contexts=contexts)
    losses = measure_losses(
        folder,
        items=own_items(shop.tasks, items),
        open_bundle=lambda: shop.engines.scored(model.weights),
        max_tokens=shop.recipe.tune.max_tokens,
        emit=shop.listening(f"evaluate {label}", model.round),
        contexts=contexts,
    )
    return Tested(measured, losses)


def _controls(shop: Shop, loop: Progress, items: Sequence[Item]) -> dict[str, Tested]:
    wanted = shop.recipe.controls
    found: dict[str, Tested] = {}
    if wanted.few_shot:
        found[FEW_SHOT] = _test(shop, FEW_SHOT, Trained(0, None), items, few_shot=True)
    if wanted.expert_only and shop.recipe.construct.expert is not None:
        written = expert_rows(shop.demonstrations, shop.recipe.construct.expert, tasks=shop.tasks, seed=shop.seed)
        guarded = guarded_items(shop.recipe, shop.tasks)
        rows = curate_stage(shop, "final/expert-only-curate", written, guarded, round=0)
        tuned = tune_stage(shop, "final/expert-only-tune", rows, round=0)
        found[EXPERT_ONLY] = _test(shop, EXPERT_ONLY, tuned, items)
    if wanted.placebo and loop.candidates:
        tuned = tune_stage(shop, "final/placebo-tune", _placebo_rows(shop, _best_rows(loop)), round=0)
        found[PLACEBO] = _test(shop, PLACEBO, tuned, items)
    if wanted.teacher:  # last: no row is made any more that could hold its answers to test items
        found[TEACHER] = _teacher(shop, [item for item in items if is_scored(shop.tasks, item)])
    return found


def _teacher(shop: Shop, items: Sequence[Item]) -> Tested:
    """The teacher as it teaches. The loss of references is not read: its tokens may be others than the student's."""
    name = f"final/{TEACHER}"
    if shop.run.state(name) is not None:
        return Tested(_answered_by_teacher(shop, shop.run.path / name, items), [])
    with shop.run.stage(name) as folder:
        return Tested(_answered_by_teacher(shop, folder, items), [])


def _answered_by_teacher(shop: Shop, folder: Path, items: Sequence[Item]) -> Measured:
    teaching = who_teaches(shop.recipe)
    assert teaching is not None, "the recipe refuses the control without a teacher"
    return measure(
        shop,
        folder,
        Trained(0, None),
        items,
        label=TEACHER,
        contexts=shop.taught(items, teaching.shots),
        by=shop.engines.scored_teacher(teaching.by),
    )


def _best_rows(loop: Progress) -> list[Example]:
    """The rows of the promoted model; if none was promoted, of the last candidate."""
    return loop.rows or loop.candidate_rows[loop.candidates[-1].round]


def _placebo_rows(shop: Shop, rows: Sequence[Example]) -> list[Example]:
    """A placebo for each of ``rows``, as often as the row itself is learned."""
    made = _placebos(shop, rows)
    expert = shop.recipe.construct.expert
    repeat = expert.repeat if expert is not None else 1
    written = {row.id for row in rows if row.lineage.paradigm == "expert"}
    return [row for row in made for _ in range(repeat if row.lineage.parents[0] in written else 1)]


def _placebos(shop: Shop, rows: Sequence[Example]) -> list[Example]:
    name = "final/placebo-rows"
    if shop.run.state(name) is not None:
        return read_records(shop.run.path / name / "records.jsonl", Example)
    section = shop.recipe.construct
    sampling = Sampling(temperature=section.temperature, top_p=section.top_p, max_tokens=section.max_tokens)
    place = Place(shop.seed, 0, shop.recipe.engines.chunk, shop.listening("placebo"))
    with shop.run.stage(name) as folder:
        start = shop.engines.student(None, 0, folder)
        return placebo(folder, rows, start=start, sampling=sampling, samples=PLACEBO_SAMPLES, place=place)


def _write_matrix(shop: Shop, loop: Progress, scores: dict[str, ScoreSummary]) -> None:
    """The reported matrix: test scores of each round's candidate, and of the model that was promoted after it."""
    start = scores[START]
    summaries = [start.placed(role="promoted")]
    promoted = start
    for candidate, verdict in zip(loop.candidates, loop.verdicts, strict=True):
        own = scores[f"round {candidate.round}"]
        summaries.append(own)
        promoted = own if verdict.outcome == "promoted" else promoted
        summaries.append(promoted.placed(round=candidate.round, role="promoted"))
    matrix = build_matrix(summaries, controls=[scores[label] for label in CONTROLS if label in scores])
    write_atomic(shop.run.path / "matrix.json", matrix.model_dump_json(indent=1) + "\n")


def _outcome(shop: Shop, loop: Progress, tested: dict[str, Tested], items: Sequence[Item]) -> RunOutcome:
    round = loop.champion.round
    last = f"round {loop.candidates[-1].round}" if loop.candidates else START
    shown = f"round {round}" if round else last
    comparisons: list[Comparison] = []
    losses: list[HeldOutLoss] = []
    if shown in tested:
        for label, other in tested.items():
            if label != shown:
                comparisons.append(_compare(shop, (label, other.measured), (shown, tested[shown].measured)))
                losses += _compare_losses(shop, (label, other), (shown, tested[shown])) if label != TEACHER else []
    own = {name: task for name, task in shop.tasks.items() if isinstance(task, RowsTask)}
    return RunOutcome(
        name=shop.recipe.name,
        promoted_round=round,
        verdicts=tuple(verdict.outcome for verdict in loop.verdicts),
        scores={label: found.measured.summary for label, found in tested.items()},
        comparisons=tuple(comparisons),
        losses=tuple(losses),
        limits=tuple(f"{name}: {said}" for name, task in own.items() for said in task.capability()),
        estimated_levels=estimated_tasks(shop),
        words=" ".join(
            [
                _words(loop, shown, comparisons),
                *(found.words for found in losses if found.before == START),
                *(f"{name}: {describe_split([item for item in items if item.task == name], 'test')}" for name in own),
            ]
        ),
    )


def _compare(shop: Shop, before: tuple[str, Measured], after: tuple[str, Measured]) -> Comparison:
    """Compare two models on the items of the first. A teacher may answer by an engine of its own, and is not asked what
    cannot be scored; the summaries name both engines."""
    asked = {score.item_id for score in before[1].examined.scores}
    both = before[0] != TEACHER
    return compare(
        before[1].examined.scores,
        [score for score in after[1].examined.scores if both or score.item_id in asked],
        labels=(before[0], after[0]),
        split="test",
        seed=derive_seed(shop.seed, "compare", before[0], after[0]),
        engines=(before[1].summary.engine, after[1].summary.engine) if both else None,
    )


def _compare_losses(shop: Shop, before: tuple[str, Tested], after: tuple[str, Tested]) -> list[HeldOutLoss]:
    found = compare_losses(
        before[1].losses,
        after[1].losses,
        labels=(before[0], after[0]),
        split="test",
        seed=derive_seed(shop.seed, "compare losses", before[0], after[0]),
    )
    return [found] if found is not None else []


def _words(loop: Progress, shown: str, comparisons: Sequence[Comparison]) -> str:
    if loop.champion.round:
        text = f"Round {loop.champion.round} was promoted."
    elif loop.candidates:
        text = "No candidate was promoted: the starting model stays."
    else:
        text = "Nothing was tuned."
    against = next((c for c in comparisons if c.before == START), None)
    if against is not None and against.macro.estimate is not None:
        macro = against.macro
        text += (
            f" On {macro.n:,} test items {shown} scores {macro.after:.3f} where the start scores {macro.before:.3f}"
            f" ({macro.estimate:+.3f}, 95 % interval {macro.low:+.3f} to {macro.high:+.3f})."
        )
    for rival in comparisons:
        if rival.before != START and not rival.before.startswith("round") and rival.macro.estimate is not None:
            text += (
                f" Against {rival.before}: {rival.macro.estimate:+.3f}"
                f" ({rival.macro.low:+.3f} to {rival.macro.high:+.3f})."
            )
    return text
