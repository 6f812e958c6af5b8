"""What runs of several seeds would have scored, and run directories that say so, without a model."""

from pathlib import Path

from pydantic import JsonValue

from tutelage.evaluate.compare import compare
from tutelage.evaluate.replicate import SeedRun
from tutelage.evaluate.summary import summarize
from tutelage.files import write_atomic
from tutelage.recipe import Recipe
from tutelage.records import Engine, Level
from tutelage.records.jsonl import write_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import ItemScore
from tutelage.runs import RunDirectory

# Label → passes of 8 items in every stratum; under seed 1 every model passes one more.
PASSES = {"start": 1, "few-shot": 3, "expert-only": 4, "placebo": 2, "round 1": 5, "round 2": 6}
STRATA: tuple[tuple[str, Level, str, bool], ...] = (
    ("instruction_following", "basic", "", False),
    ("instruction_following", "expert", "", False),
    ("faithfulness", "basic", "stated", False),
    ("faithfulness", "basic", "absent", False),
    ("safety", "basic", "harmful", False),
    ("safety", "basic", "harmless", False),
    ("instruction_following", "basic", "", True),
)


def scores_of(seed: int, passes: int) -> list[ItemScore]:
    found = []
    for dimension, level, facet, transfer in STRATA:
        many = 7 if facet == "harmless" else passes + seed  # everybody helps with what is harmless
        for number in range(8):
            value = float((number * 3 + seed) % 8 < many)
            found.append(
                ItemScore(
                    item_id=f"{seed}/{dimension}/{level}/{facet}/{transfer}/{number}",
                    dimension=dimension,
                    level=level,
                    group=f"{facet}{transfer}{number % 7}",
                    facet=facet,
                    transfer=transfer,
                    score=value,
                    counted=value,
                    ended=number > 0,
                    words=10 * passes,
                    repeated=0.125,
                )
            )
    return found


def seed_run(seed: int, *, loop: str = "round 2") -> SeedRun:
    scores = {label: scores_of(seed, passes) for label, passes in PASSES.items()}
    engine = Engine(model="tiny", engine="transformers")
    summaries = {
        label: summarize(found, split="test", round=0, label=label, engine=engine) for label, found in scores.items()
    }
    recipe: dict[str, JsonValue] = {
        "name": f"proof-{seed}",
        "seed": seed,
        "tune": {"epochs": 3, "ranks": [4, 8]},
        "rounds": 2,
    }
    return SeedRun(
        f"runs/proof-{seed}",
        seed,
        recipe,
        scores,
        summaries,
        loop=loop,
        promoted_round=int(loop[-1]),
        verdicts=("rejected", "promoted"),
    )


def write_run(folder: Path, seed: int, *, finish: bool = True, promoted: int = 2, rounds: int = 2) -> Path:
    """A run directory with what the table needs."""
    given = seed_run(seed)
    tasks = [{"kind": "constraints"}, {"kind": "grounded"}, {"kind": "safety"}]
    recipe = Recipe.model_validate({"name": folder.name, "seed": seed, "tasks": tasks, "rounds": rounds})
    comparisons = tuple(
        compare(found, given.scores["round 2"], labels=(label, "round 2"), split="test", seed=0)
        for label, found in given.scores.items()
        if label == "start"
    )
    outcome = RunOutcome(
        name=folder.name,
        promoted_round=promoted,
        verdicts=("rejected", "promoted" if promoted else "inconclusive"),
        scores=dict(given.summaries),
        comparisons=comparisons,
        words="",
    )
    with RunDirectory.create(folder, recipe) as run:
        for label, found in given.scores.items():
            with run.stage(f"final/{label.replace(' ', '-')}") as stage:
                write_records(stage / "scores.jsonl", found)
        write_atomic(folder / "outcome.json", outcome.model_dump_json())
        if finish:
            run.finish(outcome="promoted", seconds=3661.0)
            write_atomic(folder / "report" / "index.html", "<!doctype html>\n")
    return folder
