"""Rows into weights: the training loop with a ledger of the rows that it takes, its news told as events."""

from collections.abc import Sequence
from pathlib import Path

from tutelage.errors import TrainingError
from tutelage.events import Emit, Event
from tutelage.models.load import Bundle
from tutelage.pipeline.encoding import TrainingRow, encode_all, keep_ledger, sort_out, too_few
from tutelage.recipe.tune import TuneSection
from tutelage.records import Dropped
from tutelage.report.numbers import duration
from tutelage.tune import OpenTeacher, Prepared, Reward, Started, Step, Summary, train
from tutelage.tune.duration import estimate_duration
from tutelage.tune.room import memory_words
from tutelage.tune.rows import Row
from tutelage.tune.training.processes import ALONE, Processes

LOW, HIGH = 1.3, 3.0
"""How many times as long as the products of its layers a step took on the CPUs that were measured."""


def train_rows(
    bundle: Bundle,
    rows: Sequence[TrainingRow],
    section: TuneSection,
    *,
    folder: Path,
    seed: int,
    emit: Emit,
    open_teacher: OpenTeacher,
    notes: Sequence[str] = (),
    reward: Reward | None = None,
    processes: Processes = ALONE,
) -> Summary:
    """Tune ``bundle``'s model on ``rows`` and leave the weights, ``dropped.jsonl`` and ``ledger.json`` in ``folder``.

    The ledger of a training that was finished before is left as it is; ``notes`` are what a new one says of the rows.
    ``reward`` scores answers where the rows are prompts. Of several ``processes`` the main one writes.

    Raises
    ------
    TrainingError: more than half of the rows cannot be trained on (the ledger is written nevertheless), or whatever
    :func:`tutelage.tune.train` raises.
    """
    encoding = encode_all(bundle.template, rows)
    ledger, dropped = sort_out(rows, encoding, section, context=bundle.context)
    ledger = ledger.model_copy(update={"notes": tuple(notes)})
    if too_few(ledger):
        if processes.is_main:
            keep_ledger(folder, ledger, dropped)
        raise _too_few(dropped, len(rows), folder)
    total, memory = 0, memory_words(bundle, encoding.encoded, section)
    time = time_words(bundle, encoding.encoded, section, processes=processes.count)
    steps = train(
        bundle,
        encoding.encoded,
        section,
        folder=folder,
        seed=seed,
        open_teacher=open_teacher,
        reward=reward,
        processes=processes,
    )
    for news in steps:
        match news:
            case Prepared(what=what, done=done, total=texts):
                emit(Event("progress", data={"label": what, "done": done, "total": texts, "unit": "texts"}))
            case Started(steps=total, trainable_parameters=trainable):
                if processes.is_main:
                    keep_ledger(folder, ledger, dropped)
                gone = f"{len(dropped):,} of {len(rows):,} rows cannot be trained on: dropped.jsonl" if dropped else ""
                text = f"{ledger.kept:,} rows, {total:,} steps, {trainable:,} weights are trained"
                for note in filter(None, (gone, text, memory, time)):
                    emit(Event("note", data={"text": note}))
            case Step(step=done) as step:
                emit(Event("step", data=step.model_dump(mode="json", exclude={"kind"})))
                emit(Event("progress", data={"label": "steps", "done": done, "total": total, "unit": "steps"}))
            case Summary() as summary:
                return summary
    raise AssertionError("training ended without a summary")


def time_words(bundle: Bundle, rows: Sequence[Row], section: TuneSection, *, processes: int) -> str:
    """Return in words how long the steps will take; "" where that cannot be told or is no time at all."""
    found = estimate_duration(bundle, rows, section)
    if found is None:
        return ""
    least = found.seconds / processes
    return (
        f"the products of the layers alone take {duration(least)} at the {found.second / 1e12:.2g} TFLOP/s that this "
        f"device reached in them; all steps usually take {LOW:g} to {HIGH:g} times that: {duration(LOW * least)} to "
        f"{duration(HIGH * least)}"
    )


def _too_few(dropped: Sequence[Dropped], rows: int, folder: Path) -> TrainingError:
    return TrainingError(
        f"{len(dropped):,} of {rows:,} rows cannot be trained on",
        where=str(folder / "dropped.jsonl"),
        received=f"the first: {dropped[0].reason}",
        remedy="make the rows shorter, or raise tune.max_tokens where it is the limit",
    )
