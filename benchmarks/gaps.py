"""Real capacity gaps over seeds: the recipes gap-*.yaml against a server on this machine, and what came of them.

    python benchmarks/students.py whole runs/gaps/teacher
    transformers serve runs/gaps/teacher --port 8000 --device cpu
    python benchmarks/gaps.py --output benchmarks/results/gaps.json

or, with answers that come several times as fast:

    python benchmarks/serve.py --name runs/gaps/teacher --port 8000
    python benchmarks/gaps.py --concurrency 32 --output benchmarks/results/gaps.json

SmolLM2-135M-Instruct behind the server teaches its own copy without every second layer (``gap-sequence``,
``gap-token``, ``gap-on-policy``), and itself without the experts' prompt (``gap-context``). Of each run: the score of
every model, the difference of the tuned model to each of them with its interval over items, and of those that differ
from ``gap-sequence`` in the objective alone the difference to it, in pairs. ``recovered`` is the share of the teacher's
lead over the start that the tuned model has made up. The table over seeds has t intervals.

Recipes that differ in the objective ask the same questions of the same models. What one run has had answered is put
into the folder of the next before it begins, as if it had been interrupted there: an answer counts for a request of the
same content alone. A run that is finished is only read, one that was interrupted goes on.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from effects import over_seeds
from students import halved, whole

import tutelage
from tutelage.evaluate.compare import compare
from tutelage.files import write_atomic
from tutelage.recipe import Recipe, load_recipe
from tutelage.records import Example
from tutelage.records.jsonl import read_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import ItemScore
from tutelage.runs import RunDirectory
from tutelage.seeds import derive_seed
from tutelage.statistics import Difference

RECIPES = Path(__file__).parents[1] / "recipes"
NAMES = ("gap-sequence", "gap-token", "gap-on-policy", "gap-context")
ANSWERS = (
    "rounds/0/evaluate/answers.jsonl",
    "rounds/1/construct/teacher.jsonl",
    "rounds/1/gate/before/answers.jsonl",
    "final/start/answers.jsonl",
    "final/few-shot/answers.jsonl",
    "final/placebo-rows/placebo.jsonl",
    "final/teacher/answers.jsonl",
)
"""Logs of models that no objective has tuned."""


def recipe_of(name: str, seed: int, given: argparse.Namespace) -> Recipe:
    """A shipped recipe with the seed, the server, and the folders of the models."""
    teacher = "construct.distill.teacher"
    changes = [f"name={name}-{seed}", f"seed={seed}", f"{teacher}.base_url={given.base_url}"]
    changes += [f"{teacher}.model={given.work / 'teacher'}", f"{teacher}.concurrency={given.concurrency}"]
    plain = load_recipe(RECIPES / f"{name}.yaml")
    student = given.model if name == "gap-context" else halved(given.model, given.work / "student")
    changes += [f"model.id={student}"]
    changes += [f"tune.objective.teacher={given.model}"] if plain.tune.objective.kind == "kd" else []
    return load_recipe(RECIPES / f"{name}.yaml", [*changes, *given.set])


def alike(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes differ in their objective alone."""
    left, right = (recipe.model_dump(mode="json", exclude={"name"}) for recipe in (one, other))
    for said in (left, right):
        del said["tune"]["objective"]
    return left == right


def borrow(recipe: Recipe, out: Path, lender: Path) -> list[str]:
    """Put the answers that another run has into the folder of one that has not begun, and return which."""
    if (out / "recipe.json").is_file() or not (lender / "manifest.json").is_file():
        return []
    RunDirectory.create(out, recipe).close()
    there = [name for name in ANSWERS if (lender / name).is_file()]
    for name in there:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lender / name, out / name)
    return there


def figures(out: Path, recipe: Recipe, outcome: RunOutcome) -> dict[str, Any]:
    """What a finished run shows."""
    shown = outcome.comparisons[0].after
    means = {label: found.macro for label, found in outcome.scores.items()}
    made = read_records(out / "rounds/1/construct/records.jsonl", Example)
    start, teacher, tuned = (means[label].value for label in ("start", "teacher", shown))
    lead = None if start is None or teacher is None else teacher - start
    return {
        "verdict": outcome.verdicts[0],
        "shown": shown,
        "test_items": outcome.scores[shown].n,
        "scores": {label: [mean.value, mean.low, mean.high] for label, mean in means.items()},
        "ended": {label: found.share_ended for label, found in outcome.scores.items()},
        "over": {found.before: difference(found.macro) for found in outcome.comparisons},
        "recovered": None if not lead or start is None or tuned is None else (tuned - start) / lead,
        "rows": {
            kind: sum(row.lineage.paradigm == kind for row in made) for kind in ("expert", "distill", "rehearsal")
        },
        "teacher": outcome.scores["teacher"].engine.model_dump(),
    }


def difference(found: Difference) -> list[float | None]:
    """Estimate and interval."""
    return [found.estimate, found.low, found.high]


def between(out: Path, other: Path, seed: int) -> list[float | None]:
    """The tuned model of a run minus that of another, on the same test items."""
    scores = [read_records(path / "final/round-1/scores.jsonl", ItemScore) for path in (other, out)]
    labels = (other.name, out.name)
    found = compare(scores[0], scores[1], labels=labels, split="test", seed=derive_seed(seed, "gaps", *labels))
    return difference(found.macro)


def of_seed(seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Run every recipe with one seed; the first of those that differ in the objective alone lends its answers."""
    found: dict[str, Any] = {}
    done: list[tuple[str, Recipe, Path]] = []
    for name in given.recipes:
        recipe = recipe_of(name, seed, given)
        out = given.work / recipe.name
        lender = next(((first, path) for first, before, path in done if alike(before, recipe)), None)
        if lender is not None:
            borrow(recipe, out, lender[1])
        outcome = tutelage.run(recipe, out=out, offline=True)
        found[name] = figures(out, recipe, outcome)
        if lender is not None:
            found[name]["over"][lender[0]] = between(out, lender[1], seed)
        done.append((name, recipe, out))
        print(seed, name, json.dumps(found[name]), flush=True)
    return found


def table(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds with t intervals: of each recipe the scores, and the tuned model's differences."""
    found: dict[str, Any] = {}
    for name in seeds[0]:
        runs = [seed[name] for seed in seeds]
        found[name] = {
            "over": {label: mean([run["over"][label][0] for run in runs]) for label in runs[0]["over"]},
            "scores": {
                label: mean([run["scores"].get(label, [None])[0] for run in runs]) for label in runs[0]["scores"]
            },
            "recovered": mean([run["recovered"] for run in runs]),
            "verdicts": [run["verdict"] for run in runs],
        }
    return found


def mean(values: Sequence[float | None]) -> dict[str, float] | None:
    """Mean and interval over seeds; None where one of them has no value."""
    known = [value for value in values if value is not None]
    return over_seeds(known) if len(known) == len(values) else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--base-url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--concurrency", type=int, default=1, help="more than 1 with a server that draws by each seed")
    parser.add_argument("--model", default="default", help="the teacher, which the server must have as WORK/teacher")
    parser.add_argument("--work", type=Path, default=Path("runs/gaps"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a change to every recipe")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    settings = {"model": given.model, "recipes": given.recipes, "set": given.set}
    kept: dict[str, Any] = {"settings": settings, "seeds": {}}
    if given.output.is_file():
        kept = json.loads(given.output.read_text(encoding="utf-8"))
        if kept["settings"] != settings:
            raise SystemExit(f"{given.output} holds figures of other settings: {kept['settings']}")
    whole(given.model, given.work / "teacher")
    for seed in given.seeds:
        if str(seed) not in kept["seeds"]:
            kept["seeds"][str(seed)] = of_seed(seed, given)
            kept["over_seeds"] = table(list(kept["seeds"].values()))
            write_atomic(given.output, json.dumps(kept, indent=1) + "\n")
    print(json.dumps(kept["over_seeds"], indent=1))


if __name__ == "__main__":
    main()
