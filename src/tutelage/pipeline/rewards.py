"""How often a reward model agrees with people: held-out pairs of answers, scored."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tutelage.errors import DataError, ModelError, Problem
from tutelage.events import Emit, Event, located, silent
from tutelage.models.load import load_reward
from tutelage.models.template_file import template_of
from tutelage.pipeline.defaults import recipe_for
from tutelage.pipeline.encoding import encode_all
from tutelage.pipeline.own_rows import AnyRows, read_training_rows
from tutelage.recipe import Recipe
from tutelage.recipe.model import ModelSection
from tutelage.records import Record
from tutelage.statistics import wilson
from tutelage.tune.rewards import rewards_of
from tutelage.tune.rows import Pair, Row
from tutelage.tune.training.attention import connect

TOKENS = 4096
"""Computed at once."""


class RewardAccuracy(Record):
    """Of ``n`` pairs the share whose chosen answer has the higher reward (equal ones are none), with the 95 % interval
    of Wilson; ``margin`` between the rewards and both rewards are means. ``unscored`` counts the pairs that the chat
    template cannot take, by reason; they are in no other number."""

    model: str
    n: int
    accuracy: float
    low: float
    high: float
    margin: float
    chosen: float
    rejected: float
    unscored: dict[str, int]


def reward_accuracy(
    data: AnyRows,
    reward: Path,
    *,
    model: Recipe | ModelSection | str | None = None,
    emit: Emit = silent,
    offline: bool = False,
) -> RewardAccuracy:
    """Score pairs with the reward model in ``reward``: the weights that a tuning with ``objective: reward`` left.

    ``data`` are pairs (:mod:`tutelage.records.importers`) or a file of them; they should be none that it was trained
    on. ``model`` is the base of an adapter, as :func:`tutelage.pipeline.standalone.tune` takes it; default: the one
    that the adapter names.

    Raises
    ------
    ModelError: ``reward`` holds no reward model, or not one of this base. DataError: these are no pairs.
    """
    pairs = read_training_rows(data, "pairs")
    recipe = model if isinstance(model, Recipe) else recipe_for(model if model is not None else ModelSection())
    section = recipe.model
    bundle = load_reward(
        reward,
        section.id if model is not None else None,
        dtype=section.dtype,
        device=section.device,
        revision=section.revision,
        offline=offline,
        template=template_of(section, recipe.folder),
    )
    encoding = encode_all(bundle.template, pairs)
    documents = [document for pair in _pairs(encoding.encoded) for document in (pair.chosen, pair.rejected)]
    rewards: list[float] = []
    emit = located(emit, stage="score")
    with connect(bundle.model) as network:
        for part, found in rewards_of(documents, network, TOKENS):
            rewards += found.tolist()
            counts = {"done": len(rewards), "total": len(documents)}
            emit(Event("progress", data={"label": "answers", **counts, "unit": "answers"}))
            if not found.isfinite().all():
                raise ModelError("a reward is not finite", where=str(reward), received=f"of {len(part)} answers")
    won, lost = rewards[::2], rewards[1::2]
    correct, n = sum(a > b for a, b in zip(won, lost, strict=True)), len(won)
    interval = wilson(correct, n)
    return RewardAccuracy(
        model=bundle.source.identity,
        n=n,
        accuracy=correct / n,
        low=interval.low,
        high=interval.high,
        margin=(sum(won) - sum(lost)) / n,
        chosen=sum(won) / n,
        rejected=sum(lost) / n,
        unscored=dict(Counter(encoding.refused.values())),
    )


def _pairs(rows: Sequence[Row]) -> list[Pair]:
    pairs = [row for row in rows if isinstance(row, Pair)]
    if not rows or len(pairs) < len(rows):
        remedy = "give rows with a question, chosen and rejected"
        raise DataError("rows to score", [Problem("these are no pairs of answers", remedy=remedy)])
    return pairs
