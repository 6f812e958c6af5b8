"""Promotion: the candidate against the promoted model on items that no plan ever saw."""

from collections.abc import Sequence
from pathlib import Path

from tutelage.evaluate.heldout import measure_losses
from tutelage.evaluate.run import WITH_AUDIT
from tutelage.events import Event
from tutelage.files import write_atomic
from tutelage.pipeline.items import Tasks, gate_items, gate_rule, is_scored
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.stages import measure
from tutelage.records import Engine, Item
from tutelage.records.scores import GatePower, GateScores, GateVerdict
from tutelage.reflect.gate import GateRule, decide, gate_power
from tutelage.runs import read_state
from tutelage.seeds import derive_seed
from tutelage.tasks.rows import RowsTask


def gate_stage(shop: Shop, round: int, champion: Trained, candidate: Trained) -> GateVerdict:
    """Score both models on the gate's items and return the verdict (``rounds/<round>/gate/verdict.json``).

    The power is stated, as an event and in ``power.json``, before anything is answered.
    """
    name = f"rounds/{round}/gate"
    file = shop.run.path / name / "verdict.json"
    emit = shop.listening("gate", round)
    if shop.run.state(name) is None:
        with shop.run.stage(name) as folder:
            items = gate_items(shop.recipe, shop.tasks, round)
            rule = gate_rule(shop.recipe, shop.tasks)
            power = _power(shop, items, rule)
            write_atomic(folder / "power.json", power.model_dump_json(indent=1) + "\n")
            for text in (power.words, *_cautions(shop, items, rule)):
                emit(Event("note", data={"text": text}))
            before = _scores(shop, folder / "before", champion, items, label="promoted model")
            after = _scores(shop, folder / "after", candidate, items, label="candidate")
            seed = derive_seed(shop.seed, "gate", round)
            verdict = decide(before, after, rule=rule, seed=seed, power=power)
            verdict = verdict.model_copy(update={"audited": "gate" in WITH_AUDIT})
            write_atomic(file, verdict.model_dump_json(indent=1) + "\n")
    verdict = read_state(file, GateVerdict)
    emit(Event("verdict", data={"outcome": verdict.outcome, "text": verdict.words}))
    return verdict


def own_items(tasks: Tasks, items: Sequence[Item]) -> list[Item]:
    """The items that are a user's rows: their references are held out, and their loss means something."""
    return [item for item in items if isinstance(tasks[item.task], RowsTask)]


def _power(shop: Shop, items: Sequence[Item], rule: GateRule) -> GatePower:
    scored = [item for item in items if is_scored(shop.tasks, item)]
    power = gate_power(scored, rule)
    if scored or not items:
        return power
    words = (
        f"The gate compares the loss of {len(items)} references; how small a fall of it shows depends on how much it "
        "differs from row to row, which is not known before."
    )
    return power.model_copy(update={"words": words})


def _cautions(shop: Shop, items: Sequence[Item], rule: GateRule) -> list[str]:
    """What must be known of the gate beside its power, before it is asked."""
    said = []
    if not items:
        said.append("No row fell to the gate: nothing can be promoted. Give more rows, or another share to the gate.")
    if not rule.fresh:
        said.append(
            f"The gate's rows come to an end and are asked again in every round: each of {rule.rounds} rounds may err "
            f"with {rule.alpha:.3g}, so that all together stay at {1 - rule.confidence:.3g}."
        )
    unscored = sum(not is_scored(shop.tasks, item) for item in items)
    if unscored:
        decides = "decides" if unscored == len(items) else "is a guard"
        said.append(f"{unscored} rows of the gate have no check: the loss of their references {decides}.")
    return said


def _scores(shop: Shop, folder: Path, model: Trained, items: Sequence[Item], *, label: str) -> GateScores:
    if not items:
        return GateScores(engine=Engine(model=shop.recipe.model.id, engine="not asked"), items=())
    measured = measure(shop, folder, model, items, label=label, utility=True)
    scored = {item.id for item in items if is_scored(shop.tasks, item)}
    losses = measure_losses(
        folder,
        items=own_items(shop.tasks, items),
        open_bundle=lambda: shop.engines.scored(model.weights),
        max_tokens=shop.recipe.tune.max_tokens,
        emit=shop.listening("gate", model.round),
    )
    return GateScores(
        engine=measured.summary.engine,
        items=tuple(score for score in measured.examined.scores if score.item_id in scored),
        utility=measured.utility,
        losses=tuple(losses),
    )
