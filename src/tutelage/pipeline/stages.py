"""The stages of a run, each resumable by itself: called again, it goes on from what its folder holds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.build import Cast, Constructed, construct
from tutelage.construct.missing import count_missing
from tutelage.construct.sampling import Asker, Place
from tutelage.curate.build import build_steps, limits_of
from tutelage.curate.pairs import curate_pairs
from tutelage.curate.sieve import Curated, curate
from tutelage.errors import RunError
from tutelage.evaluate.general_texts import general_texts
from tutelage.evaluate.run import Contexts, Examined, examine
from tutelage.evaluate.summary import summarize
from tutelage.evaluate.utility import measure_utility
from tutelage.events import Emit, Event, say
from tutelage.files import write_atomic
from tutelage.models.adapters import MUCH_ROUNDED
from tutelage.models.bundle import Bundle
from tutelage.pipeline.asking import probe_of
from tutelage.pipeline.curating import write_curated, write_curated_pairs
from tutelage.pipeline.judged import judge_notes
from tutelage.pipeline.planning import Prompts
from tutelage.pipeline.reading import READINGS, ModelReader
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.told import logs_of_run
from tutelage.pipeline.training import train_rows
from tutelage.recipe.methods import wants_four_bits
from tutelage.records import Answer, Example, Item, Ledger, Lesson, Preference
from tutelage.records.jsonl import read_records
from tutelage.records.scores import ItemScore, ScoreSummary, UtilityMeasures
from tutelage.records.tradeoff import TradeOff
from tutelage.runs import read_state
from tutelage.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on one set of items."""

    examined: Examined
    summary: ScoreSummary
    utility: UtilityMeasures | None


def measure(
    shop: Shop,
    folder: Path,
    model: Trained,
    items: Sequence[Item],
    *,
    label: str,
    contexts: Contexts | None = None,
    utility: bool = False,
    by: Asker | None = None,
) -> Measured:
    """Answer and score ``items`` with the reference engine; ``utility`` also reads and answers general text. ``by``
    answers in place of ``model``: a teacher that nothing here has tuned.

    ``summary.json`` is written last; where it is, everything is read and nothing is asked or judged again.
    """
    file = folder / "summary.json"
    if file.is_file():
        return _measured(folder, items, utility=utility)
    section = shop.recipe.evaluate
    emit = shop.listening(f"evaluate {label}", model.round)
    engines = shop.engines
    answering = by.open if by is not None else lambda: engines.reference(model.weights)
    examined = examine(
        folder,
        items=items,
        tasks=shop.tasks,
        open_completer=answering,
        max_tokens=section.max_tokens,
        chunk=4 * shop.recipe.engines.reference_batch,
        emit=emit,
        contexts=contexts,
        again=by is not None and by.again,
    )
    measures = None
    if utility:
        measures = measure_utility(
            folder,
            open_completer=lambda: engines.reference(model.weights),
            open_bundle=lambda: engines.scored(model.weights),
            prompts=section.general_prompts,
            max_tokens=section.max_tokens,
            emit=emit,
        )
    if by is not None:
        count_missing(examined.answers, label=by.name, emit=emit)
    else:
        say_rounding(engines.scored(model.weights), emit)
    summary = summarize(
        examined.scores,
        split=items[0].split,
        round=model.round,
        label=label,
        engine=answering().engine,
    )
    write_atomic(file, summary.model_dump_json(indent=1) + "\n")
    emit(Event("scores", data={"label": label, "split": summary.split, "macro": summary.macro.value, "n": summary.n}))
    return Measured(examined, summary, measures)


def say_rounding(bundle: Bundle, emit: Emit) -> None:
    """Say it if the model that was scored is not what its adapter makes of the base, because rounding swallowed it."""
    if bundle.rounded is not None and bundle.rounded > MUCH_ROUNDED:
        dtype = str(bundle.model.dtype).removeprefix("torch.")
        text = (
            f"Rounding the merged weights to {dtype} moves the logits by {bundle.rounded:.0%} of what the adapter does "
            "to them: the scores are of the rounded model. The adapter changes little, or model.dtype should be float32"
        )
        emit(Event("note", data={"text": text}))


def _measured(folder: Path, items: Sequence[Item], *, utility: bool) -> Measured:
    answers = {answer.request_id: answer for answer in read_records(folder / "answers.jsonl", Answer)}
    scores = {score.item_id: score for score in read_records(folder / "scores.jsonl", ItemScore)}
    changed = {item.id for item in items} ^ scores.keys()
    if changed or not scores.keys() <= answers.keys():
        raise RunError(
            "the items are no longer those that were scored",
            where=str(folder),
            received=f"{len(changed)} others",
            remedy="the data behind the recipe has changed: start over in another folder with --out",
        )
    examined = Examined(list(items), [answers[item.id] for item in items], [scores[item.id] for item in items])
    measures = read_state(folder / "utility.json", UtilityMeasures) if utility else None
    return Measured(examined, read_state(folder / "summary.json", ScoreSummary), measures)


def construct_stage(shop: Shop, round: int, prompts: Prompts, student: Trained) -> Constructed:
    """Make a round's data."""
    name = f"rounds/{round}/construct"
    folder = shop.run.path / name
    if shop.run.state(name) is not None:
        return Constructed(
            rows=read_records(folder / "records.jsonl", Example),
            preferences=read_records(folder / "preferences.jsonl", Preference),
            lessons=read_records(folder / "lessons.jsonl", Lesson),
            tradeoffs=read_records(folder / "tradeoffs.jsonl", TradeOff),
        )
    recipe = shop.recipe
    asker = shop.engines.student(student.weights, student.round, folder)
    start = shop.engines.student(None, 0, folder)
    say(judge_notes(recipe), shop.listening("construct", round))
    with shop.run.stage(name) as folder:
        return construct(
            folder,
            section=recipe.construct,
            tasks=shop.tasks,
            prompts=prompts.numbers,
            demonstrations=shop.demonstrations,
            cast=Cast(
                asker,
                shop.engines.teacher(asker),
                start,
                reader=shop.engines.teacher(asker, shown=False),
                judge=shop.engines.judge(start),
                teacher_only=prompts.teacher_only,
            ),
            place=Place(
                shop.seed,
                round,
                recipe.engines.chunk,
                shop.listening("construct", round),
                shop.longest_answers(),
                folder=recipe.folder,
            ),
        )


def curate_stage(
    shop: Shop,
    name: str,
    rows: Sequence[Example],
    guarded: Sequence[Item],
    *,
    round: int,
    pairs: Sequence[Preference] | None = None,
) -> list[Example]:
    """Keep what may be trained on; no row may contain an item of ``guarded`` or a text of the utility guards, and none
    of ``pairs``, which are for tunings of one's own: the loop learns from rows."""
    if shop.run.state(name) is not None:
        return read_records(shop.run.path / name / "records.jsonl", Example)
    emit = shop.listening("curate", round)
    read = ModelReader(shop.recipe, lambda: shop.engines.scored(None), folder=shop.run.path / READINGS, emit=emit)
    with shop.run.stage(name) as folder:
        steps = build_steps(
            shop.recipe.curate,
            guarded,
            texts=general_texts(),
            round=round,
            seed=derive_seed(shop.seed, "mix"),
            folder=shop.recipe.folder,
            reader=read,
            emit=emit,
        )
        # A control of the end has no round, and a run does not fail for it.
        curated = curate(rows, steps, limits=limits_of(shop.recipe.curate) if round else None, emit=emit)
        write_curated(folder, curated)
        sifted = curate_pairs(pairs, steps) if pairs is not None else None
        if sifted is not None:
            write_curated_pairs(folder, sifted)
    _say_ledger(shop, round, curated.ledger)
    if sifted is not None and sifted.ledger.rows_in:
        _say_ledger(shop, round, sifted.ledger, what="preferences")
    say_lost_experts(rows, curated, emit)
    return list(curated.kept)


def _say_ledger(shop: Shop, round: int, ledger: Ledger, *, what: str = "rows") -> None:
    dropped = sum(ledger.dropped.values())
    text = f"{ledger.rows_in:,} {what} in, {ledger.kept:,} kept, {dropped:,} dropped"
    shop.listening("curate", round)(Event("note", data={"text": text}))


def say_lost_experts(rows: Sequence[Example], curated: Curated, emit: Emit) -> None:
    """Say it if most of what people wrote was dropped: the model will hardly see it."""
    written = [row.id for row in rows if row.lineage.paradigm == "expert"]
    known = set(written)
    gone = Counter(row.step for row in curated.dropped if row.id in known)
    lost = gone.total()
    if 2 * lost > len(written):
        step, most = gone.most_common(1)[0]
        text = f"{lost:,} of {len(written):,} expert rows were dropped, {most:,} of them by {step}: see dropped.jsonl"
        emit(Event("note", data={"text": text}))


def tune_stage(shop: Shop, name: str, rows: Sequence[Example], *, round: int) -> Trained:
    """Tune the starting model on ``rows``; each expert row counts ``construct.expert.repeat`` times."""
    weights = shop.run.path / name / "weights"
    if shop.run.state(name) is not None:
        return Trained(round, weights)
    expert = shop.recipe.construct.expert
    repeat = expert.repeat if expert is not None else 1
    learned = [row for row in rows for _ in range(repeat if row.lineage.paradigm == "expert" else 1)]
    with shop.run.stage(name) as folder:
        train_rows(
            shop.engines.bundle(four_bit=wants_four_bits(shop.recipe.tune.method)),
            learned,
            shop.recipe.tune,
            folder=folder,
            seed=derive_seed(shop.seed, "tune"),
            open_teacher=shop.engines.taught_by,
            answers=logs_of_run(shop.run, round),
            probe=probe_of(shop.recipe, shop.recipe.tune, shop.tasks),
            emit=shop.listening("tune", round),
        )
    return Trained(round, weights)
