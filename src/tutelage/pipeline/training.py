"""Rows into weights: the training loop with a ledger of the rows that it takes, its news told as events."""

from collections.abc import Sequence
from pathlib import Path

from tutelage.errors import TrainingError
from tutelage.events import Emit, Event, say
from tutelage.models.load import Bundle
from tutelage.pipeline.encoding import Encoding, TrainingRow, encode_all, keep_ledger, sort_out, too_few
from tutelage.pipeline.told import with_told
from tutelage.recipe.objectives import told_by
from tutelage.recipe.tune import TuneSection
from tutelage.records import Dropped
from tutelage.report.numbers import duration
from tutelage.tune import Look, OpenTeacher, Prepared, Probe, Progress, Reward, Started, Step, Stopping, Summary, train
from tutelage.tune.duration import Duration, estimate_duration
from tutelage.tune.room import memory_words
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
    answers: Sequence[Path] = (),
    notes: Sequence[str] = (),
    reward: Reward | None = None,
    probe: Probe | None = None,
    processes: Processes = ALONE,
) -> Summary:
    """Tune ``bundle``'s model on ``rows`` and leave the weights, ``dropped.jsonl`` and ``ledger.json`` in ``folder``.

    The ledger of a training that was finished before is left as it is; ``notes`` are what a new one says of the rows.
    ``answers`` are logs of what an endpoint said, ``reward`` scores answers where the rows are prompts, ``probe`` is
    what early stopping asks. Of several ``processes`` the main one writes.

    Raises
    ------
    TrainingError: more than half of the rows cannot be trained on (the ledger is written nevertheless), or whatever
    :func:`tutelage.tune.train` raises.
    """
    encoding, said = _encoded(bundle, rows, section, answers, emit)
    ledger, dropped = sort_out(rows, encoding, section, context=bundle.context, notes=(*notes, *said))
    if too_few(ledger):
        if processes.is_main:
            keep_ledger(folder, ledger, dropped)
        raise _too_few(dropped, len(rows), folder)
    total, memory = 0, memory_words(bundle, encoding.encoded, section)
    forecast = estimate_duration(bundle, encoding.encoded, section)
    steps = train(
        bundle,
        encoding.encoded,
        section,
        folder=folder,
        seed=seed,
        open_teacher=open_teacher,
        reward=reward,
        probe=probe,
        processes=processes,
    )
    for news in steps:
        match news:
            case Started(steps=total, trainable_parameters=trainable, resumed_from=made):
                if processes.is_main:
                    keep_ledger(folder, ledger, dropped)
                gone = f"{len(dropped):,} of {len(rows):,} rows cannot be trained on: dropped.jsonl" if dropped else ""
                text = f"{ledger.kept:,} rows, {total:,} steps, {trainable:,} weights are trained"
                say([gone, text, memory, time_words(forecast, 1 - made / total, processes.count)], emit)
            case Summary() as summary:
                if summary.stopping is not None:
                    say([words_of_stopping(summary.stopping, made=summary.steps)], emit)
                return summary
            case _:
                _tell(news, total, emit)
    raise AssertionError("training ended without a summary")


def _encoded(
    bundle: Bundle, rows: Sequence[TrainingRow], section: TuneSection, answers: Sequence[Path], emit: Emit
) -> tuple[Encoding, tuple[str, ...]]:
    """Rows as ids and masks, with what an endpoint said of them where that is learned, and what is told of it."""
    encoding, told = encode_all(bundle.template, rows), told_by(section.objective)
    if told is None:
        return encoding, ()
    encoding, said = with_told(encoding, rows, told, logs=answers, bundle=bundle)
    say([said], emit)
    return encoding, (said,)


def time_words(found: Duration | None, left: float, processes: int) -> str:
    """Return in words how long the share ``left`` of the steps will take; "" where that is not known or no time."""
    if found is None or not left:
        return ""
    least = left * found.seconds / processes
    return (
        f"the products of the layers alone take {duration(least)} at the {found.second / 1e12:.2g} TFLOP/s that this "
        f"device reached in them; all steps usually take {LOW:g} to {HIGH:g} times that: {duration(LOW * least)} to "
        f"{duration(HIGH * least)}"
    )


def _tell(news: Progress, total: int, emit: Emit) -> None:
    """Pass on what happens on the way through ``total`` steps."""
    match news:
        case Prepared(what=what, done=done, total=texts):
            emit(Event("progress", data={"label": what, "done": done, "total": texts, "unit": "texts"}))
        case Step(step=done) as step:
            emit(Event("step", data=step.model_dump(mode="json", exclude={"kind"})))
            emit(Event("progress", data={"label": "steps", "done": done, "total": total, "unit": "steps"}))
        case Look() as look:
            data = look.model_dump(mode="json", exclude={"kind", "run"})
            emit(Event("look", data={**data, "text": words_of_look(look)}))


def words_of_look(look: Look) -> str:
    """Say what the weights of the moment came to."""
    weights = f"after {look.step:,} steps" if look.step else "before the first step"
    than = "the best so far" if look.best == look.step else f"not above that at step {look.best:,}"
    apart = f", {look.unscored:,} unscored" if look.unscored else ""
    return f"Probe score {weights}: {look.score:.3f}, {than} ({look.answers:,} answers{apart})"


def words_of_stopping(found: Stopping, *, made: int) -> str:
    """Say why a training of ``made`` steps ended, and which weights were saved."""
    start = f"{found.looks[0].score:.3f}"
    why = (
        f"Stopped after step {made:,} of {found.planned:,}" if made < found.planned else f"All {made:,} steps were made"
    )
    if not found.kept:
        return (
            f"{why}. None of the weights answered the probe items better than those before the first step ({start}): "
            "these are saved, and nothing was learned."
        )
    return (
        f"{why}. The weights after step {found.kept:,} are saved: probe score {found.score:.3f}, {start} before the "
        f"first step. They were chosen among {len(found.looks):,} by this score, so that it proves nothing."
    )


def _too_few(dropped: Sequence[Dropped], rows: int, folder: Path) -> TrainingError:
    return TrainingError(
        f"{len(dropped):,} of {rows:,} rows cannot be trained on",
        where=str(folder / "dropped.jsonl"),
        received=f"the first: {dropped[0].reason}",
        remedy="make the rows shorter, or raise tune.max_tokens where it is the limit",
    )
