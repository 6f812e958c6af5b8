"""The loop: diagnose → construct → curate → tune → probe → gate, round after round."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tutelage.errors import TrainingError
from tutelage.evaluate.run import Examined
from tutelage.evaluate.summary import summarize
from tutelage.events import Event
from tutelage.files import write_atomic
from tutelage.pipeline.gating import gate_stage
from tutelage.pipeline.items import guarded_items, probe_items, rounds_of
from tutelage.pipeline.planning import plan_round
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.stages import Measured, construct_stage, curate_stage, measure, tune_stage
from tutelage.records import Engine, Example, Item, Ledger, Preference
from tutelage.records.scores import GateVerdict, Outcome, ScoreSummary
from tutelage.reflect.diagnose import diagnose
from tutelage.reflect.matrix import build_matrix
from tutelage.runs import Best, read_state


@dataclass(slots=True)
class Progress:
    """How far the loop is: who is promoted, on which rows, what the probe said.

    ``pool`` are the rows that the next round builds on: those of the promoted model and of every round after it that
    ended inconclusive. They passed their checks, and nothing speaks against them; those of a rejected round are left.
    """

    champion: Trained
    probes: list[ScoreSummary]
    rows: list[Example] = field(default_factory=list)
    pool: list[Example] = field(default_factory=list)
    candidates: list[Trained] = field(default_factory=list)
    verdicts: list[GateVerdict] = field(default_factory=list)
    candidate_rows: dict[int, list[Example]] = field(default_factory=dict)
    steering: list[ScoreSummary] = field(default_factory=list)

    def take(self, outcome: Outcome, candidate: Trained, *, rows: list[Example], probe: ScoreSummary) -> None:
        """Draw the consequence of a gate: a promoted candidate is what the next round samples from and has to beat."""
        if outcome == "promoted":
            self.champion, self.rows = candidate, rows
            self.probes.append(probe)
        if outcome != "rejected":
            self.pool = rows


def run_rounds(shop: Shop) -> Progress:
    """Run all rounds and return where they led."""
    start = Trained(0, None)
    probe = probe_items(shop.recipe, shop.tasks)
    first = probe_stage(shop, start, probe)
    loop = Progress(champion=start, probes=[first.summary], steering=[first.summary.placed(role="promoted")])
    guarded = guarded_items(shop.recipe, shop.tasks)
    for round in range(1, shop.recipe.rounds + 1):
        if _reached(shop, loop) or _nothing_new(shop, round):
            break
        _one_round(shop, loop, round, probe, guarded)
    return loop


def _one_round(shop: Shop, loop: Progress, round: int, probe: Sequence[Item], guarded: Sequence[Item]) -> None:
    prompts = plan_round(shop, round, loop.probes)
    made = construct_stage(shop, round, prompts, loop.champion)
    rows = curate_made(shop, loop, round, made=made.rows, pairs=made.preferences, guarded=guarded)
    _need_rows(shop, round, rows)
    candidate = tune_stage(shop, f"rounds/{round}/tune", rows, round=round)
    probed = probe_stage(shop, candidate, probe)
    verdict = gate_stage(shop, round, loop.champion, candidate)
    loop.candidates.append(candidate)
    loop.candidate_rows[round] = rows
    loop.verdicts.append(verdict)
    loop.steering.append(probed.summary)
    loop.take(verdict.outcome, candidate, rows=rows, probe=probed.summary)
    if verdict.outcome == "promoted":
        weights = str(candidate.weights.relative_to(shop.run.path)) if candidate.weights else None
        shop.run.promote(Best(round=round, weights=weights))
        loop.steering.append(probed.summary.placed(role="promoted"))
    else:
        loop.steering.append(_again(loop.probes[-1], round))
    matrix = build_matrix(loop.steering)
    write_atomic(shop.run.path / "probe_matrix.json", matrix.model_dump_json(indent=1) + "\n")


def curate_made(
    shop: Shop,
    loop: Progress,
    round: int,
    *,
    made: Sequence[Example],
    pairs: Sequence[Preference],
    guarded: Sequence[Item],
) -> list[Example]:
    """Curate what a round made, together with the rows that the loop builds on, and return the rows that were kept."""
    known = {row.id for row in loop.pool}
    rows = [*loop.pool, *(row for row in made if row.id not in known)]
    return curate_stage(shop, f"rounds/{round}/curate", rows, guarded, round=round, pairs=pairs)


def _need_rows(shop: Shop, round: int, rows: Sequence[Example]) -> None:
    """Say where the rows went, if none is left."""
    if rows:
        return
    file = shop.run.round(round) / "curate" / "ledger.json"
    ledger = read_state(file, Ledger)
    reasons = ", ".join(f"{count} {reason}" for reason, count in ledger.dropped.items())
    raise TrainingError(
        f"no row is left to learn from in round {round}",
        where=str(file.with_name("dropped.jsonl")),
        received=f"{ledger.rows_in} rows before curation" + (f", of which dropped: {reasons}" if reasons else ""),
        remedy="give references to learn from, a teacher that passes the checks, or other steps under curate",
    )


def _again(summary: ScoreSummary, round: int) -> ScoreSummary:
    """The promoted model's scores, carried into a round that changed nothing."""
    return summary.placed(round=round, role="promoted")


def _reached(shop: Shop, loop: Progress) -> bool:
    target = shop.recipe.reflect.target
    value = loop.probes[-1].macro.value
    if target is None or value is None or value < target:
        return False
    text = f"The target of {target:.2f} is reached: the promoted model has {value:.2f} on the probe split."
    shop.emit(Event("note", data={"text": text}))
    return True


def _nothing_new(shop: Shop, round: int) -> bool:
    """Whether a round could only tune again on the rows of the one before."""
    if round <= rounds_of(shop.recipe, shop.tasks):
        return False
    text = "No answer can be checked, so a further round would learn from the same rows again: the loop ends here."
    shop.emit(Event("note", data={"text": text}))
    return True


def probe_stage(shop: Shop, model: Trained, items: Sequence[Item]) -> Measured:
    """Score a model on the probe split and say what is weak (``diagnosis.json``)."""
    name = f"rounds/{model.round}/evaluate"
    folder = shop.run.path / name
    label = f"round {model.round}" if model.round else "start"
    if not items:
        nobody = Engine(model=shop.recipe.model.id, engine="not asked")
        nothing = summarize([], split="probe", round=model.round, label=label, engine=nobody)
        return Measured(Examined([], [], []), nothing, None)
    if shop.run.state(name) is not None:
        return measure(shop, folder, model, items, label=label)
    with shop.run.stage(name):
        measured = measure(shop, folder, model, items, label=label)
        matrix = build_matrix([measured.summary])
        found = diagnose(matrix, measured.examined.scores, round=model.round, role="candidate")
        written = ",\n".join(cell.model_dump_json() for cell in found)
        write_atomic(folder / "diagnosis.json", f"[{written}]\n")
    return measured
