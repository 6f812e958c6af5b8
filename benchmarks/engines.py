"""Is the promoted model the same everywhere? Outside Tutelage, in other batches, on the fast engine.

    python benchmarks/engines.py runs/quickstart --output benchmarks/results/engines.json

1. Outside: the adapter of the run's promoted round is loaded with plain transformers and peft (float32, batch 1) and
   answers general prompts greedily; the tokens are compared with those of the reference engine in float32.
2. Engines: items of the probe split of the run's tasks are answered greedily by the reference engine as the run used
   it, by itself in smaller batches, and by CTranslate2 in int8. Beside the share of equal answers stands what decides:
   the difference of the scores, paired, with its 95 % interval.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tutelage.completers.ct2 import CTranslate2Completer, ctranslate2_installed
from tutelage.completers.decoding import Decoder, Row
from tutelage.completers.local import LocalCompleter
from tutelage.completers.protocol import Completer
from tutelage.errors import RunError
from tutelage.evaluate.general_texts import general_prompts
from tutelage.files import write_atomic
from tutelage.models.default import ALIASES, default_file
from tutelage.models.load import load_bundle
from tutelage.records import Answer, Item, Request, Sampling, user
from tutelage.runs import RunDirectory
from tutelage.statistics import Design, paired_clustered_bootstrap
from tutelage.tasks.build import build_tasks
from tutelage.tasks.protocol import Task
from tutelage.tasks.verdicts import checked

SMALL = 16


def outside(model: str, adapter: Path, prompts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Greedy tokens of plain transformers and peft: nothing of Tutelage but the place of the default model's file."""
    place: dict[str, str] = {"pretrained_model_name_or_path": model}
    if model in ALIASES:
        file = default_file()
        place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    # The adapter was trained on weights in bfloat16: unpacked to float32 at once, a GGUF file gives others.
    base = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.bfloat16)
    for parameter in base.parameters():
        parameter.data = parameter.data.float()
    adapted = PeftModel.from_pretrained(base, str(adapter)).eval()
    found = []
    for prompt in prompts:
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        settings = {"attention_mask": torch.ones_like(ids), "max_new_tokens": max_tokens, "do_sample": False}
        found.append(adapted.generate(input_ids=ids, **settings)[0, ids.shape[1] :].tolist())
    return found


def inside(model: str, adapter: Path, prompts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Greedy tokens of the reference engine in float32, one prompt at a time; the end token where it came."""
    bundle = load_bundle(model, dtype="float32", adapter=adapter)
    found = []
    for prompt in prompts:
        ids = tuple(bundle.template.encode_prompt((user(prompt),)))
        row = Row(0, ids, Sampling(max_tokens=max_tokens), seed=0)
        list(Decoder(bundle.model, [row], slots=1, end_ids=bundle.template.end_ids).finished())
        found.append([*row.tokens, *bundle.template.end_ids[:1]] if row.stopped else row.tokens)
    return found


def answers_of(completer: Completer, items: Sequence[Item], max_tokens: int) -> list[Answer]:
    """Greedy answers in the order of ``items``."""
    sampling = Sampling(max_tokens=max_tokens)
    requests = [Request(id=item.id, messages=item.messages, sampling=sampling) for item in items]
    by_id = {answer.request_id: answer for answer in completer.complete(requests)}
    return [by_id[item.id] for item in items]


def scores_of(tasks: dict[str, Task], items: Sequence[Item], answers: Sequence[Answer]) -> list[float | None]:
    """The checks' scores, in the order of ``items``."""
    found: dict[str, float | None] = {}
    for name, task in tasks.items():
        pairs = [pair for pair in zip(items, answers, strict=True) if pair[0].task == name]
        verdicts = checked(task, [item for item, _ in pairs], [answer for _, answer in pairs])
        found |= {item.id: verdict.score for (item, _), verdict in zip(pairs, verdicts, strict=True)}
    return [found[item.id] for item in items]


def main() -> None:
    """Compare, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--round", type=int, help="a candidate that was not promoted, by its round")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    run = RunDirectory.open(given.run)
    recipe = run.recipe
    round = run.best.round if given.round is None else given.round
    if round == 0:
        raise RunError("no candidate was promoted", where=str(given.run), remedy="name one with --round")
    adapter = run.path / f"rounds/{round}/tune/weights"
    prompts = general_prompts()[: given.prompts]
    theirs = outside(recipe.model.id, adapter, prompts, given.max_tokens)
    ours = inside(recipe.model.id, adapter, prompts, given.max_tokens)
    same = sum(a == b for a, b in zip(theirs, ours, strict=True))
    tokens = sum(map(len, theirs))
    print(f"outside, float32, batch 1: {same} of {len(prompts)} answers are token-identical ({tokens:,} tokens)")

    tasks = build_tasks(recipe.tasks, recipe.folder)
    cells = [(task, level) for task in tasks.values() for level in task.levels]
    each = -(-given.items // len(cells))
    items = [item for task, level in cells for item in task.items("probe", level, each, 1)][: given.items]
    bundle = load_bundle(recipe.model.id, dtype=recipe.model.dtype, adapter=adapter, merge=True)
    size = recipe.engines.reference_batch
    engines: dict[str, Completer] = {f"batch {SMALL}": LocalCompleter(bundle, batch_size=SMALL)}
    if ctranslate2_installed():
        engines["ctranslate2 int8"] = CTranslate2Completer.of(bundle, workers=2)
    reference = answers_of(LocalCompleter(bundle, batch_size=size), items, given.max_tokens)
    before = scores_of(tasks, items, reference)
    compared: dict[str, dict[str, object]] = {}
    for name, engine in engines.items():
        answers = answers_of(engine, items, given.max_tokens)
        found = paired_clustered_bootstrap(
            before, scores_of(tasks, items, answers), design=Design([item.group for item in items])
        )
        equal = sum(a.text == b.text for a, b in zip(reference, answers, strict=True))
        compared[name] = {
            "equal_answers": equal,
            "items": len(items),
            "score_reference": found.before,
            "score": found.after,
            "difference": found.estimate,
            "interval": [found.low, found.high],
        }
        print(
            f"{name} against the reference in batches of {size}: {equal} of {len(items)} answers equal; score "
            f"{found.before:.3f} and {found.after:.3f}, difference {found.estimate:+.3f} "
            f"({found.low:+.3f} to {found.high:+.3f})"
        )
    if given.output:
        figures = {
            "run": recipe.name,
            "seed": recipe.seed,
            "round": round,
            "outside": {"prompts": len(prompts), "identical": same, "tokens": tokens, "dtype": "float32", "batch": 1},
            "engines": {"reference": {"batch": size, "dtype": str(bundle.model.dtype)}, **compared},
            "torch": torch.__version__,
        }
        write_atomic(given.output, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
