"""What objectives and methods do to a real model, on rows that nobody learned from, over several seeds.

    python benchmarks/effects.py dpo --data pairs.json --output benchmarks/results/effects-dpo.json
    python benchmarks/effects.py kd --data rows.json --output benchmarks/results/effects-kd.json
    python benchmarks/effects.py methods --data rows.json --output benchmarks/results/effects-methods.json
    python benchmarks/effects.py grpo --data recipes/grpo.yaml --output benchmarks/results/effects-grpo.json

``dpo``: the share of held-out pairs whose chosen answer has the higher reward β·(log π − log start), against one half.
``kd``: the model is the teacher of its own copy without every second layer; the same rows by cross-entropy are the
control; divergence from the teacher and loss on held-out answers. ``methods``: the loss on held-out answers before and
after. ``grpo``: the score of the recipe's levels on test items; the control learns from the same prompts with the
verdicts of a step dealt out at random.

A seed decides which rows are held out, their order and what begins at random; of ``dpo`` it is the fold that is held
out, and no pair is held out twice. What is finished is kept in ``--output`` and not done again, and processes with
other ``--seeds`` may share it; a tuning that was interrupted goes on. Intervals are Wilson's for shares and bootstraps
over rows (of one seed) for losses; the table over seeds has a t interval.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from finished import bootstrap, kept_in, over_seeds
from students import halved

import tutelage
from tutelage.evaluate.run import examine
from tutelage.events import silent
from tutelage.files import write_atomic
from tutelage.models.load import Bundle, load_bundle, load_tuned
from tutelage.models.template import Encoded
from tutelage.pipeline.asking import asked_items, identity_of, reward_of
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.items import final_items
from tutelage.pipeline.own_rows import read_rows
from tutelage.pipeline.training import train_rows
from tutelage.recipe import Recipe, load_recipe
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.methods import DoraMethod, FullMethod, Ia3Method, LoraMethod, Method
from tutelage.recipe.objectives import DpoObjective, KdObjective, SftObjective
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdamWOptimizer, TuneSection
from tutelage.records import Answer, Example, Item, Preference, Verdict, content_id
from tutelage.records.importers import import_preferences
from tutelage.records.scores import ItemScore
from tutelage.seeds import derive_seed
from tutelage.statistics import wilson
from tutelage.tasks.build import build_tasks
from tutelage.tune import Reward
from tutelage.tune.reference import logprobs_of
from tutelage.tune.training.attention import connect

BETA = 0.1
METHODS: dict[str, tuple[Method, float]] = {
    "lora": (LoraMethod(kind="lora"), 2e-4),
    "dora": (DoraMethod(kind="dora"), 2e-4),
    "ia3": (Ia3Method(kind="ia3"), 3e-3),
    "prefix": (PrefixMethod(kind="prefix"), 1e-2),
    "prompt": (PromptMethod(kind="prompt"), 3e-2),
}
"""With the learning rates that their sections recommend."""


def section(given: argparse.Namespace, lr: float, **changes: Any) -> TuneSection:
    """Settings of all tunings but for ``changes``; ``lr`` where none is given."""
    optimizer = AdamWOptimizer(kind="adamw", lr=lr if given.lr is None else given.lr)
    common = {"batch_size": 8, "max_tokens": given.max_tokens, "epochs": given.epochs, "optimizer": optimizer}
    return TuneSection(**{**common, **changes})


def split(rows: Sequence[Any], held: int, seed: int) -> tuple[list[Any], list[Any]]:
    """Rows to learn from, and rows that are held out."""
    order = list(rows)
    random.Random(seed).shuffle(order)
    return order[held:], order[:held]


def fold(rows: Sequence[Any], held: int, number: int) -> tuple[list[Any], list[Any]]:
    """The same for the fold of this number, from 0: no row is held out by two of them."""
    order = list(rows)
    random.Random(0).shuffle(order)
    if len(order) < (number + 1) * held:
        raise SystemExit(f"{len(order)} rows have no fold {number} of {held}; ask for fewer seeds, or --held-out less")
    return order[: number * held] + order[(number + 1) * held :], order[number * held : (number + 1) * held]


@torch.no_grad()
def logprobs(bundle: Bundle, documents: Sequence[Encoded]) -> np.ndarray:
    """Σ log p of the targets of each document, in nats."""
    with connect(bundle.model) as network:
        found = [value for _, values in logprobs_of(documents, network, 2048) for value in values.tolist()]
    return np.array(found)


def dpo(rows: Sequence[Preference], seed: int, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Held-out accuracy of the implicit reward, and its margin."""
    template = load_bundle(given.model).template
    both = {
        row.id: [template.encode((*row.prompt, answer), last=True) for answer in (row.chosen, row.rejected)]
        for row in rows
    }
    fitting = [row for row in rows if max(map(len, both[row.id])) <= given.max_tokens]
    train, held = fold(fitting, given.held_out, seed)
    chosen = section(given, 2e-4, objective=DpoObjective(kind="dpo", beta=BETA))
    summary = tutelage.tune(train, out=work, model=given.model, section=chosen, seed=seed)
    documents = [document for row in held for document in both[row.id]]
    tuned = logprobs(load_tuned(given.model, work / "weights"), documents)
    rewards = BETA * (tuned - logprobs(load_bundle(given.model), documents)).reshape(-1, 2)
    right = int((rewards[:, 0] > rewards[:, 1]).sum())
    share = wilson(right, len(held))
    return {
        "pairs": len(held),
        "accuracy": right / len(held),
        "interval": [share.low, share.high],
        "margin": float((rewards[:, 0] - rewards[:, 1]).mean()),
        "learned": {"rows": summary.rows, "seconds": round(summary.seconds, 1), "losses": ends(summary.losses)},
    }


def kd(rows: Sequence[Example], seed: int, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Divergence from the teacher and loss of a student that learned from logits, and of one that learned from text."""
    train, held = split(rows, given.held_out, seed)
    train = train[: given.rows]
    student = halved(given.model, work / "student")
    found: dict[str, Any] = {}
    for name, objective in (
        ("kd", KdObjective(kind="kd", teacher=given.model)),
        ("sft", SftObjective(kind="sft")),
    ):
        chosen = section(given, 2e-4, objective=objective, method=FullMethod(kind="full"))
        tutelage.tune(train, out=work / name, model=str(student), section=chosen, seed=seed)
        found[name] = against(given.model, str(work / name / "weights"), held)
    found["start"] = against(given.model, str(student), held)
    divergences, losses = (np.array(found["sft"][of]) - np.array(found["kd"][of]) for of in ("divergences", "losses"))
    found["sft - kd"] = {"divergence": bootstrap(divergences, seed), "loss": bootstrap(losses, seed)}
    for name in ("kd", "sft", "start"):
        found[name] = {of: float(np.mean(values)) for of, values in found[name].items()}
    return found


@torch.no_grad()
def against(teacher_id: str, student_id: str, rows: Sequence[Example]) -> dict[str, list[float]]:
    """KL(teacher ‖ student) and −log p of the written token, means over the target tokens of each row."""
    teacher, student = load_bundle(teacher_id), load_bundle(student_id)
    found: dict[str, list[float]] = {"divergences": [], "losses": []}
    for row in rows:
        document = teacher.template.encode(row.messages)
        ids = torch.as_tensor(document.ids, dtype=torch.int64)[None]
        at = torch.as_tensor(document.targets).nonzero()[:, 0]
        expected, now = (
            one.model(input_ids=ids).logits[0, at - 1].float().log_softmax(-1) for one in (teacher, student)
        )
        found["divergences"].append((expected.exp() * (expected - now)).sum(-1).mean().item())
        found["losses"].append(-now.gather(1, ids[0, at][:, None]).mean().item())
    return found


def methods(rows: Sequence[Example], seed: int, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Loss on held-out answers, before and after each method."""
    train, held = split(rows, given.held_out, seed)
    bundle = load_bundle(given.model)
    documents = [bundle.template.encode(row.messages) for row in held]
    tokens = np.array([document.targets[1:].sum() for document in documents])
    before = -logprobs(bundle, documents) / tokens
    found: dict[str, Any] = {"start": float(before.mean())}
    for name in given.methods:
        method, lr = METHODS[name]
        chosen = section(given, lr, method=method)
        summary = tutelage.tune(train[: given.rows], out=work / name, model=given.model, section=chosen, seed=seed)
        tuned = load_tuned(given.model, work / name / "weights")
        after = np.array([loss_behind(tuned, document) for document in documents])
        found[name] = {
            "loss": float(after.mean()),
            "fell": bootstrap(before - after, seed),
            "trained": summary.trainable_parameters,
            "tokens_per_second": round(summary.tokens_per_second),
        }
    return found


def grpo(rows: Sequence[Any], seed: int, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The score of what was rewarded by verdicts, of what was rewarded at random, and of the start."""
    recipe = load_recipe(given.data, [f"seed={seed}", f"model.id={given.model}"])
    objective = recipe.tune.objective
    if not isinstance(objective, GrpoObjective):
        raise SystemExit(f"{given.data}: its objective is {objective.kind}, not grpo")
    tasks = build_tasks(recipe.tasks, recipe.folder)
    prompts, checks = asked_items(recipe, objective, tasks), reward_of(tasks, identity_of(recipe))
    rewards = {"grpo": checks, "placebo": Reward(partial(dealt, checks), f"{checks.identity} dealt at random")}
    found: dict[str, Any] = {}
    scores = {"start": scored(recipe, objective, None, work / "start", given.held_out)}
    for name, reward in rewards.items():
        with Engines(recipe, offline=True) as engines:
            summary = train_rows(
                engines.bundle(),
                prompts,
                recipe.tune,
                folder=work / name,
                seed=derive_seed(seed, "tune"),
                emit=silent,
                open_teacher=engines.taught_by,
                reward=reward,
            )
        scores[name] = scored(recipe, objective, work / name / "weights", work / name / "evaluate", given.held_out)
        found[name] = {"steps": summary.steps, "seconds": round(summary.seconds, 1)}
    for name, items in scores.items():
        found.setdefault(name, {})["score"] = float(np.mean([item.counted for item in items]))
        found[name] |= {"items": len(items), "ended": float(np.mean([item.ended for item in items]))}
        found[name]["words"] = float(np.mean([item.words for item in items]))
    for other in ("start", "placebo"):
        pairs = zip(scores["grpo"], scores[other], strict=True)
        gains = np.array([now.counted - before.counted for now, before in pairs])
        found["grpo"][f"over {other}"] = bootstrap(gains, seed)
    return found


def dealt(checks: Reward, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
    """The verdicts of ``checks``, each to another answer than its own, by an order that the answers decide."""
    verdicts = list(checks.score(items, answers))
    random.Random(content_id([answer.text for answer in answers])).shuffle(verdicts)
    return verdicts


def scored(recipe: Recipe, objective: GrpoObjective, adapter: Path | None, out: Path, per_cell: int) -> list[ItemScore]:
    """Scores of test items of the levels that are asked for, of which something could be said, in one order."""
    tasks = build_tasks(recipe.tasks, recipe.folder)
    levels = objective.levels
    items = [item for item in final_items(recipe, tasks, per_cell) if levels is None or item.level in levels]
    with Engines(recipe, offline=True) as engines:
        wanted = examine(
            out,
            items=items,
            tasks=tasks,
            open_completer=lambda: engines.reference(adapter),
            max_tokens=recipe.evaluate.max_tokens,
            chunk=4 * recipe.engines.reference_batch,
            emit=silent,
        ).scores
    if any(item.counted is None for item in wanted):
        raise SystemExit(f"{out}: some answers could not be scored")
    return sorted(wanted, key=lambda item: item.item_id)


@torch.no_grad()
def loss_behind(bundle: Bundle, document: Encoded) -> float:
    """Mean −log p of a document's targets, behind the virtual tokens of the bundle if it has any."""
    ids = torch.as_tensor(document.ids, dtype=torch.int64)[None]
    cache = {} if bundle.virtual is None else {"past_key_values": bundle.virtual.cache()}
    logits = bundle.model(input_ids=ids, **cache).logits[0, :-1].float().log_softmax(-1)
    at = torch.as_tensor(document.targets[1:])
    return -logits.gather(1, ids[0, 1:, None])[at].mean().item()


def ends(losses: Sequence[float]) -> list[float]:
    """Means of the first and of the last tenth."""
    size = max(1, len(losses) // 10)
    return [round(float(np.mean(part)), 4) for part in (losses[:size], losses[-size:])]


def summaries(kind: str, seeds: dict[str, Any]) -> dict[str, Any]:
    """What is claimed, over seeds."""
    runs = list(seeds.values())
    match kind:
        case "dpo":
            pairs = sum(run["pairs"] for run in runs)
            right = sum(round(run["accuracy"] * run["pairs"]) for run in runs)
            of_all = {"mean": right / pairs, **asdict(wilson(right, pairs)), "seeds": len(runs)}  # no pair counts twice
            return {"accuracy": over_seeds([run["accuracy"] for run in runs]), "accuracy of all pairs": of_all}
        case "kd":
            return {of: over_seeds([run["sft - kd"][of][0] for run in runs]) for of in ("divergence", "loss")}
        case "grpo":
            return {of: over_seeds([run["grpo"][of][0] for run in runs]) for of in ("over start", "over placebo")}
        case _:
            return {name: over_seeds([run[name]["fell"][0] for run in runs]) for name in METHODS if name in runs[0]}


EXPERIMENTS: dict[str, Callable[[Sequence[Any], int, Path, argparse.Namespace], dict[str, Any]]] = {
    "dpo": dpo,
    "kd": kd,
    "methods": methods,
    "grpo": grpo,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(EXPERIMENTS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--rows", type=int, default=300, help="rows to learn from, where there are more")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=1024, help="longer rows are left out")
    parser.add_argument("--lr", type=float, help="learning rate; absent: the one that the objective or method needs")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--model", default="default")
    parser.add_argument("--work", type=Path, default=Path("runs/effects"))
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    others = {"seeds", "work", "output", *({"methods"} if given.kind != "methods" else ())}
    settings = {name: str(value) for name, value in vars(given).items() if name not in others}
    settings["data"] = given.data.name
    if given.kind == "dpo":
        settings["held_out"] = f"folds of {given.held_out}"
    rows: Sequence[Any] = ()
    if given.kind != "grpo":
        rows = import_preferences(given.data, author="benchmark") if given.kind == "dpo" else read_rows(given.data)
    for seed in given.seeds:
        if str(seed) in kept_in(given.output, settings)["seeds"]:
            continue
        found = EXPERIMENTS[given.kind](rows, seed, given.work / f"{given.kind}-{seed}", given)
        kept = kept_in(given.output, settings)  # another process may have finished another seed
        kept["seeds"][str(seed)] = found
        words = (Path(word).name if word == str(given.data) else word for word in sys.argv)
        kept |= {"command": " ".join(["python", *words]), "over_seeds": summaries(given.kind, kept["seeds"])}
        write_atomic(given.output, json.dumps(kept, indent=1) + "\n")
        print(seed, json.dumps(found), flush=True)
    print(json.dumps(kept_in(given.output, settings)["over_seeds"], indent=1))


if __name__ == "__main__":
    main()
