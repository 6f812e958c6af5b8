"""The verdict of the run in words, and what its figures do not prove."""

from dataclasses import dataclass

from tutelage.records.comparison import Comparison
from tutelage.records.heldout import HeldOutLoss
from tutelage.report.levels import estimated_tasks
from tutelage.report.losses import NOT_PROVED, loss_change, loss_judgment, loss_tone
from tutelage.report.names import rival, rival_meaning
from tutelage.report.numbers import confidence, decimal, plural, rate, signed, span
from tutelage.report.reading import START, RunData
from tutelage.statistics import Difference

OWN_KINDS = {"rows", "custom"}


@dataclass(frozen=True, slots=True)
class Rival:
    """One model that the shown one is set against, and the judgment in words; ``difference`` is of scores or losses."""

    label: str
    name: str
    meaning: str
    difference: Difference
    judgment: str
    tone: str


@dataclass(frozen=True, slots=True)
class Headline:
    """How the run ended; ``macro`` is the shown model against the start on test.

    ``loss`` is the change of the held-out loss, given only where no test item has a score; the rivals are then judged
    by it as well.
    """

    tone: str
    status: str
    words: tuple[str, ...]
    macro: Difference | None
    loss: Difference | None
    rivals: tuple[Rival, ...]


def headline(data: RunData) -> Headline:
    """Return the verdict of a run, finished or not."""
    tone, status = _status(data)
    against = data.against_start
    losses = leading_losses(data)
    return Headline(
        tone=tone,
        status=status,
        words=tuple(_words(data)),
        macro=against.macro if against else None,
        loss=next((loss_change(found) for found in losses if found.before == START), None),
        rivals=tuple(map(_rival_by_loss, losses) if losses else map(_rival, data.comparisons)),
    )


def leading_losses(data: RunData) -> tuple[HeldOutLoss, ...]:
    """Return the held-out losses on test if they have to speak: none where an item has a score, or no row was read."""
    against, losses = data.against_start, data.outcome.losses if data.outcome else ()
    is_scored = against is not None and against.macro.estimate is not None
    is_read = any(found.before == START and found.rise.estimate is not None for found in losses)
    return losses if is_read and not is_scored else ()


def judgment(found: Difference) -> str:
    """Return what an interval allows to say."""
    if found.estimate is None:
        return "not compared with"
    if found.low > 0:
        return "better than"
    return "worse than" if found.high < 0 else "not told apart from"


def judgment_tone(found: Difference) -> str:
    """Return the tone of that: good, bad, or none."""
    return {"better than": "good", "worse than": "bad"}.get(judgment(found), "")


def _status(data: RunData) -> tuple[str, str]:
    outcome = data.outcome
    if outcome is None:
        return "wait", "Not finished yet"
    if outcome.promoted_round:
        return "good", f"Round {outcome.promoted_round} was promoted"
    if not outcome.verdicts:
        return "wait", "Nothing was tuned"
    tone = "bad" if set(outcome.verdicts) == {"rejected"} else "wait"
    return tone, "No candidate was promoted"


def _words(data: RunData) -> list[str]:
    if data.outcome is None:
        return _progress(data)
    words = [_verdicts(data)] if data.outcome.verdicts else []
    if not data.outcome.promoted_round:
        words.append("The starting model stays.")
    against = data.against_start
    loss = next((found for found in leading_losses(data) if found.before == START), None)
    if against is None and loss is None:
        return [*words, "Nothing was compared on the test split."]
    if not data.outcome.promoted_round:
        words.append(f"The comparisons below show the last candidate, {data.shown}, which was not promoted.")
    if loss is not None:
        return [*words, _loss_against_start(loss)]
    return [*words, _against_start(against)] if against else words


def _verdicts(data: RunData) -> str:
    assert data.outcome is not None
    said = [f"round {number} {outcome}" for number, outcome in enumerate(data.outcome.verdicts, start=1)]
    return f"The gate's verdicts, on items that no plan saw: {', '.join(said)}."


def _against_start(found: Comparison) -> str:
    macro = found.macro
    if macro.estimate is None:
        return (
            f"On test, {found.after} could not be compared with the start: {macro.reason or 'no pair has both scores'}."
        )
    return (
        f"On {plural(macro.n, 'test item')} in {plural(macro.clusters, 'group')}, {found.after} scores "
        f"{rate(macro.after)} where the start scores {rate(macro.before)}: {signed(macro.estimate)}, 95 % interval "
        f"{span(macro.low, macro.high, is_difference=True)}."
    )


def _loss_against_start(found: HeldOutLoss) -> str:
    change = loss_change(found)
    return (
        f"No test item has a score. On {plural(change.n, 'reference')} in {plural(change.clusters, 'group')}, "
        f"{found.after} has a loss of {decimal(change.after, 3)} nats a token where the start has "
        f"{decimal(change.before, 3)}: {signed(change.estimate)}, {confidence(change.confidence)} interval "
        f"{span(change.low, change.high, is_difference=True)}. {NOT_PROVED}"
    )


def _progress(data: RunData) -> list[str]:
    done = len(data.stages)
    words = [f"{plural(done, 'stage') if done else 'No stage'} finished so far; this page shows what there is."]
    if data.last_event is not None:
        event = data.last_event
        where = f" in {event.stage}" if event.stage else ""
        of = f" of round {event.round}" if event.round is not None and event.stage else ""
        words.append(f"The last thing that happened was “{event.kind.replace('_', ' ')}”{where}{of}.")
    words += [f"Round {number}: {verdict.outcome}." for number, verdict in data.verdicts.items()]
    words.append("The same command goes on where the run stopped.")
    return words


def _rival(found: Comparison) -> Rival:
    label = found.before
    return Rival(
        label, rival(label), rival_meaning(label), found.macro, judgment(found.macro), judgment_tone(found.macro)
    )


def _rival_by_loss(found: HeldOutLoss) -> Rival:
    label, change = found.before, loss_change(found)
    return Rival(label, rival(label), rival_meaning(label), change, loss_judgment(change), loss_tone(change))


def caveats(data: RunData) -> list[tuple[str, str]]:
    """Return what the figures of this run do not prove: a heading and a sentence or two each."""
    found = [*_limits(data), _loss(data), _levels(data), _items(data), _seed(data), _size(data)]
    found += [_transfer(data), _comparisons(data), _origins(data), _engines(data), _safety(data), _style(data)]
    return [pair for pair in found if pair is not None]


def _limits(data: RunData) -> list[tuple[str, str]]:
    """What the run said of each task of rows before it began; the name of the task stands before every sentence."""
    said: dict[str, list[str]] = {}
    for limit in data.outcome.limits if data.outcome else ():
        name, _, words = limit.partition(": ")
        said.setdefault(name, []).append(words)
    return [(f"What the rows of “{name}” can and cannot prove", " ".join(words)) for name, words in said.items()]


def _loss(data: RunData) -> tuple[str, str] | None:
    losses = data.outcome.losses if data.outcome else ()
    return ("A lower loss is imitation", NOT_PROVED) if losses else None


def _levels(data: RunData) -> tuple[str, str] | None:
    tasks = sorted(estimated_tasks(data))
    if not tasks:
        return None
    return (
        "Levels are estimated",
        f"Those of {', '.join(tasks)} rest on a few answers of the starting model to each row, once and for all. Rows "
        "that it failed by bad luck stand among the hard ones and rise by themselves when they are asked again: a gain "
        "in a hard level alone proves nothing. The mean over all rows does not suffer from this.",
    )


def _items(data: RunData) -> tuple[str, str]:
    kinds = [task.kind for task in data.recipe.tasks]
    own = [kind for kind in kinds if kind in OWN_KINDS]
    words = "The tasks, their items and their checks come from the same project as the loop that trains on them."
    if own and len(own) == len(kinds):
        words = "The items and their checks are the ones that this recipe's author gave."
    elif own:
        words = "Items and checks come from this project and from the recipe's author, who also trains on them."
    return (
        "The items are the project's own",
        f"{words} Splits share no template, passage or behavior, yet a gain here need not show on other people's "
        "prompts. Measure on a public benchmark, or on your own work, before relying on it.",
    )


def _origins(data: RunData) -> tuple[str, str] | None:
    number = len(data.manifest.origins) if data.manifest else 0
    if number < 2:
        return None
    return (
        "It was not made in one piece",
        f"The run was interrupted, and {number} states of code, packages or machine worked on it one after another "
        "(origins.json in its folder). What was finished was kept as it was, so that two models that are compared may "
        "not have been made and scored alike.",
    )


def _seed(data: RunData) -> tuple[str, str]:
    return (
        "It is one seed",
        f"Everything here comes from seed {data.recipe.seed}. The intervals cover the choice of items, not the luck of "
        "sampling, ordering and tuning; a claim about the method needs several seeds.",
    )


def _size(data: RunData) -> tuple[str, str] | None:
    against = data.against_start
    loss = next((loss_change(found) for found in leading_losses(data) if found.before == START), None)
    if loss is not None:
        half = (loss.high - loss.low) / 2
        return (
            "The numbers are small",
            f"{plural(loss.n, 'reference')} in {plural(loss.clusters, 'group')} fix the change of the loss to about "
            f"±{half:.3f} nats a token.",
        )
    if against is None or against.macro.estimate is None:
        return None
    macro = against.macro
    half = (macro.high - macro.low) / 2
    return (
        "The numbers are small",
        f"{plural(macro.n, 'item')} in {plural(macro.clusters, 'group')} fix the difference to about ±{half:.3f}. A "
        "single cell of the matrix has far fewer: read its interval, not its color.",
    )


def _transfer(data: RunData) -> tuple[str, str] | None:
    shown = data.scores.get(data.shown or "")
    if shown is None:
        return None
    if shown.transfer is None:
        return "Transfer was not measured", "No test item was made of kinds that exist only in test."
    return (
        "Transfer is measured narrowly",
        f"{plural(shown.transfer.n, 'transfer item')} are made of kinds that training never used, but by the same "
        "hands and in the same manner as the rest.",
    )


def _comparisons(data: RunData) -> tuple[str, str] | None:
    if not data.comparisons:
        return None
    p_values = "p-values are adjusted over the dimensions of one comparison (Holm), not over the rivals. "
    return (
        "Several comparisons were made",
        f"{'' if leading_losses(data) else p_values}Intervals are not adjusted: of twenty intervals around no "
        "difference, about one excludes zero.",
    )


def _engines(data: RunData) -> tuple[str, str]:
    scored = sorted({engine_words(summary.engine.engine, summary.engine.dtype) for summary in data.scores.values()})
    by = f"Scores here come from {' and '.join(scored)}." if scored else "Scores come from the reference engine."
    return (
        "Another engine gives other answers",
        f"{by} Training data may be sampled by a faster engine with int8 weights. Greedy answers differ between "
        "engines, precisions and batch sizes, and so does the model once it is quantized for use.",
    )


def _safety(data: RunData) -> tuple[str, str] | None:
    if not any("safety" in summary.dimensions for summary in data.scores.values()):
        return None
    return (
        "It is no safety audit",
        "Refusals are recognized by a program, in single turns, for the behaviors of this task. Neither rate says how "
        "the model stands up to people who try.",
    )


def _style(data: RunData) -> tuple[str, str]:
    if leading_losses(data):
        return (
            "No answer was judged",
            "No check and no person has looked at what the models write. Whether it is right, well written or liked "
            "was not measured.",
        )
    return (
        "Right by program is not liked by people",
        "A check tells whether what was asked is there. Whether the answer is well written, and whether people prefer "
        "it, was not measured.",
    )


def engine_words(engine: str, dtype: str) -> str:
    """Return who answered: program and arithmetic."""
    return f"{engine} in {dtype.removeprefix('torch.')}" if dtype else engine
