"""Whether a chosen tenth of the rows teaches more than a random tenth: the loss on rows that nobody learned from.

    python benchmarks/selection.py --data rows.json --output benchmarks/results/selection.json

A seed decides which rows are held out; the others are the pool. Each arm keeps ``--share`` of the pool by its step of
curation, and the same model learns from what is left with the same settings: as many rows, as many steps. ``random``
draws them by the seed. Arms differ in how long the rows are that they choose, so the tokens learned stand beside each.

The loss is −log p a token of the answers, end token included, of each held-out row. ``less`` is by how much it is
smaller than after the random rows, paired by row: with a bootstrap interval over the rows of a seed, and a t interval
over the means of the seeds. Above 0 the choice was better.

What is finished is kept in ``--output``, an arm of a seed at a time, and not done again; processes with other
``--seeds`` may share it. A tuning that was interrupted goes on, and what the model has read of rows is kept in
``--work``.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from finished import bootstrap, kept_in, over_seeds

import tutelage
from tutelage.curate import build_steps, curate
from tutelage.errors import TemplateError
from tutelage.files import write_atomic
from tutelage.models.load import Bundle, load_bundle, load_tuned
from tutelage.models.template import Encoded
from tutelage.pipeline.defaults import recipe_for
from tutelage.pipeline.own_rows import read_rows
from tutelage.pipeline.reading import ModelReader
from tutelage.recipe.curate import CurateSection
from tutelage.recipe.tune import AdamWOptimizer, TuneSection
from tutelage.records import Example
from tutelage.tune.reference import logprobs_of
from tutelage.tune.training.attention import connect

RANDOM = "random"
ARMS = (RANDOM, "facility_location", "k_center", "ifd", "perplexity")
START = "start"


def chosen(pool: Sequence[Example], arm: str, seed: int, work: Path, given: argparse.Namespace) -> list[Example]:
    """The rows of the pool that an arm learns from."""
    if arm == RANDOM:
        return random.Random(f"{seed} {arm}").sample(list(pool), max(1, round(given.share * len(pool))))
    step: dict[str, Any] = {"kind": arm, "share": given.share}
    if arm in {"facility_location", "k_center"}:
        step["embedding"] = {"kind": given.embedding}
    recipe = recipe_for(given.model).model_copy(update={"tune": settings_of(given)})
    reader = ModelReader(recipe, lambda: load_bundle(given.model, dtype=given.dtype), folder=work / "readings")
    return list(curate(pool, build_steps(CurateSection.model_validate({"steps": [step]}), [], reader=reader)).kept)


def settings_of(given: argparse.Namespace) -> TuneSection:
    """Settings of all tunings."""
    optimizer = AdamWOptimizer(kind="adamw", lr=given.lr)
    return TuneSection(
        batch_size=given.batch_size, max_tokens=given.max_tokens, epochs=given.epochs, optimizer=optimizer
    )


@torch.no_grad()
def losses(bundle: Bundle, documents: Sequence[Encoded]) -> list[float]:
    """Mean −log p of the targets of each document."""
    with connect(bundle.model) as network:
        sums = [value for _, values in logprobs_of(documents, network, 2048) for value in values.tolist()]
    return [-total / int(document.targets.sum()) for total, document in zip(sums, documents, strict=True)]


def measure(rows: Sequence[Example], arm: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """One arm of one seed: what was learned, and the loss of each held-out row."""
    order = list(rows)
    random.Random(seed).shuffle(order)
    held, pool = order[: given.held_out], order[given.held_out :]
    start = load_bundle(given.model, dtype=given.dtype)
    documents = [start.template.encode(row.messages) for row in held]
    if arm == START:
        return {"losses": losses(start, documents)}
    began = time.monotonic()
    kept = chosen(pool, arm, seed, given.work, given)
    seconds = time.monotonic() - began
    folder = given.work / f"{seed}-{arm}"
    model = recipe_for(given.model).model.model_copy(update={"dtype": given.dtype})
    summary = tutelage.tune(kept, out=folder, model=model, section=settings_of(given), seed=seed)
    tuned = load_tuned(given.model, folder / "weights", dtype=given.dtype)
    return {
        "losses": losses(tuned, documents),
        "pool": len(pool),
        "rows": len(kept),
        "target_tokens": sum(int(start.template.encode(row.messages).targets.sum()) for row in kept),
        "steps": summary.steps,
        "selecting_s": round(seconds, 1),
        "tuning_s": round(summary.seconds, 1),
    }


def fitting(rows: Sequence[Example], given: argparse.Namespace) -> list[Example]:
    """Rows that a tuning would not drop: with an exact loss mask and short enough."""
    template = load_bundle(given.model, dtype=given.dtype).template
    found = []
    for row in rows:
        try:
            if len(template.encode(row.messages)) <= given.max_tokens:
                found.append(row)
        except TemplateError:
            continue
    return found


def summary_of(seeds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Losses of every arm, and how much less than after the random rows, of seeds that have both."""
    found: dict[str, Any] = {}
    for arm in (START, *ARMS):
        runs = {seed: arms for seed, arms in seeds.items() if arm in arms}
        if not runs:
            continue
        found[arm] = {"loss": over_seeds([float(np.mean(arms[arm]["losses"])) for arms in runs.values()])}
        paired = {
            seed: np.array(arms[RANDOM]["losses"]) - np.array(arms[arm]["losses"])
            for seed, arms in runs.items()
            if RANDOM in arms and arm != RANDOM
        }
        if paired:
            found[arm]["less"] = over_seeds([float(values.mean()) for values in paired.values()])
            found[arm]["less by seed"] = {seed: bootstrap(values, int(seed)) for seed, values in paired.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="rows in any form that tutelage reads")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS[:3]))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--rows", type=int, default=0, help="take the first so many of the data; 0 = all")
    parser.add_argument("--embedding", choices=["start", "tfidf"], default="start")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--max-tokens", type=int, default=512, help="longer rows are left out")
    parser.add_argument("--model", default="default")
    parser.add_argument("--dtype", choices=["auto", "bfloat16", "float32"], default="float32")
    parser.add_argument("--work", type=Path, default=Path("runs/selection"))
    given = parser.parse_args()
    others = {"seeds", "arms", "work", "output"}
    settings = {name: str(value) for name, value in vars(given).items() if name not in others} | {
        "data": given.data.name
    }
    rows = fitting(read_rows(given.data)[: given.rows or None], given)
    for seed in given.seeds:
        for arm in (START, RANDOM, *(arm for arm in given.arms if arm != RANDOM)):
            if arm in kept_in(given.output, settings)["seeds"].get(str(seed), {}):
                continue
            found = measure(rows, arm, seed, given)
            kept = kept_in(given.output, settings)  # another process may have finished another seed
            kept["seeds"].setdefault(str(seed), {})[arm] = found
            words = (Path(word).name if word == str(given.data) else word for word in sys.argv)
            kept |= {"command": " ".join(["python", *words]), "fitting": len(rows)}
            kept["over_seeds"] = summary_of(kept["seeds"])
            write_atomic(given.output, json.dumps(kept, indent=1) + "\n")
            print(seed, arm, json.dumps({key: value for key, value in found.items() if key != "losses"}), flush=True)
    print(json.dumps(kept_in(given.output, settings)["over_seeds"], indent=1))


if __name__ == "__main__":
    main()
