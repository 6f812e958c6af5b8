"""Promotion: the candidate against the promoted model on fresh items that no plan ever saw."""

from tutelage.evaluate.run import draw_items
from tutelage.events import Event
from tutelage.files import write_atomic
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.stages import Measured, measure
from tutelage.records import Item
from tutelage.records.scores import GateScores, GateVerdict
from tutelage.reflect.gate import GateRule, decide, gate_power
from tutelage.seeds import derive_seed


def gate_items(shop: Shop, round: int) -> list[Item]:
    """The gate's items of a round: fresh ones each round."""
    return draw_items(shop.tasks, "gate", shop.recipe.evaluate.gate, seed=derive_seed(shop.seed, "gate items", round))


def gate_stage(shop: Shop, round: int, champion: Trained, candidate: Trained) -> GateVerdict:
    """Score both models on the gate's items and return the verdict (``rounds/<round>/gate/verdict.json``).

    The power is stated, as an event and in ``power.json``, before anything is answered.
    """
    name = f"rounds/{round}/gate"
    file = shop.run.path / name / "verdict.json"
    emit = shop.listening("gate", round)
    if shop.run.state(name) is None:
        with shop.run.stage(name) as folder:
            items = gate_items(shop, round)
            rule = _rule(shop)
            power = gate_power(items, rule)
            write_atomic(folder / "power.json", power.model_dump_json(indent=1) + "\n")
            emit(Event("note", data={"text": power.words}))
            before = measure(shop, folder / "before", champion, items, label="promoted model", utility=True)
            after = measure(shop, folder / "after", candidate, items, label="candidate", utility=True)
            seed = derive_seed(shop.seed, "gate", round)
            verdict = decide(_scores(before), _scores(after), rule=rule, seed=seed, power=power)
            write_atomic(file, verdict.model_dump_json(indent=1) + "\n")
    verdict = GateVerdict.from_json(file.read_bytes())
    emit(Event("verdict", data={"outcome": verdict.outcome, "text": verdict.words}))
    return verdict


def _rule(shop: Shop) -> GateRule:
    section = shop.recipe.reflect.gate
    return GateRule(
        confidence=section.confidence,
        margin=section.margin,
        resamples=section.resamples,
        rounds=shop.recipe.rounds,
        fresh=True,
    )


def _scores(measured: Measured) -> GateScores:
    return GateScores(engine=measured.summary.engine, items=tuple(measured.examined.scores), utility=measured.utility)
