"""Updates on fixed answers give the losses of TRL's GRPOTrainer, in float32, full and LoRA.

Same weights, prompts, answers and rewards: TRL is given them by a rollout function and a reward function, here they
stand in the log of a run that was killed. Advantages, ratios, clipping, divergence and averages are all compared.
"""

import warnings
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import trl
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from support.trl_peer import start_of
from tutelage.models.load import Bundle
from tutelage.models.logprobs import token_logprobs
from tutelage.models.template import Encoded
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, FullMethod, LoraMethod, Method, TuneSection
from tutelage.records import Item, user
from tutelage.seeds import derive_seed
from tutelage.tune import Reward, Step, train
from tutelage.tune.rollouts import RolloutLog, Sampled
from tutelage.tune.rows import Asked
from tutelage.tune.sampling import behind
from tutelage.tune.training.batches import rows_of_step
from tutelage.tune.training.checkpoint import fingerprint_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the peer warns of its own settings

FULL, LORA = FullMethod(kind="full"), LoraMethod(kind="lora", r=4)
GROUP, PROMPTS, UPDATES, LONGEST, SEED = 4, 3, 6, 24, 5
RATES = {"full": 5e-4, "lora": 2e-3}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "grpo": (
        {"average": "row", "clip_high": 0.2, "kl": 0.04},
        {"loss_type": "grpo", "beta": 0.04, "epsilon": 0.2},
    ),
    "dapo": ({}, {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0}),
    "bnpo": ({"clip_high": 0.2}, {"loss_type": "bnpo", "epsilon": 0.2, "beta": 0.0}),
    "dr_grpo": (
        {"average": "constant", "advantage": "dr_grpo", "clip_high": 0.2},
        {"loss_type": "dr_grpo", "scale_rewards": "none", "epsilon": 0.2, "beta": 0.0},
    ),
    "hot": (
        {"temperature": 1.5, "kl": 0.1},
        {"loss_type": "dapo", "temperature": 1.5, "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.1},
    ),
}


def prompts_of(bundle: Bundle) -> list[Asked]:
    rows = []
    for number in range(PROMPTS):
        messages = (user(f"Say the {'garden ' * number}river."),)
        ids = np.asarray(bundle.template.encode_prompt(messages), dtype=np.int32)
        item = Item(id=str(number), task="t", dimension="d", level="basic", split="train", messages=messages, group="g")
        rows.append(Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), item))
    return rows


def answers_of(bundle: Bundle, rows: list[Asked], temperature: float) -> list[Sampled]:
    """Fixed tokens and rewards, with log p of the start."""
    generator = np.random.default_rng(0)
    answers = []
    for row in rows:
        for _ in range(GROUP):
            tokens = generator.integers(20, 400, int(generator.integers(3, LONGEST))).tolist()
            tokens.append(bundle.template.end_ids[0])
            document = behind(row.prompt, tokens)
            ids, targets = torch.tensor(document.ids, dtype=torch.long), torch.tensor(document.targets)
            with torch.no_grad():
                plain = token_logprobs(bundle.model, ids, targets)
                logits = bundle.model(input_ids=ids[None]).logits[0, :-1] / temperature
                hot = torch.log_softmax(logits, -1).gather(1, ids[1:, None])[:, 0][targets[1:]]
            answers.append(
                Sampled(
                    run="",
                    rollout=0,
                    of=GROUP * PROMPTS,
                    prompt=row.item.id,
                    seed=0,
                    answer="",
                    ended=True,
                    reward=float(generator.choice([0.0, 0.25, 1.0])),
                    entropy=0.0,
                    tokens=tuple(tokens),
                    sampler=tuple(plain.tolist()),
                    trainer=tuple(plain.tolist()),
                    old=tuple(hot.tolist()),
                )
            )
    return answers


def section_of(method: Method, settings: dict[str, Any], updates: int) -> TuneSection:
    objective = {"kind": "grpo", "group": GROUP, "max_tokens": LONGEST, "updates": updates, **settings}
    return TuneSection(
        objective=GrpoObjective.model_validate(objective),
        method=method,
        optimizer=AdamWOptimizer(kind="adamw", lr=RATES[method.kind]),
        schedule=ConstantSchedule(kind="constant"),
        batch_size=PROMPTS,
        max_steps=updates,
        epochs=1,
        checkpoint_every=0,
    )


def ours(
    bundle: Bundle, section: TuneSection, answers: list[Sampled], folder: Path
) -> tuple[list[float], list[dict[str, float]]]:
    rows = prompts_of(bundle)
    log = RolloutLog(folder, fingerprint_of(bundle.model, rows, section, seed=SEED))
    by_prompt = {row.item.id: [one for one in answers if one.prompt == row.item.id] for row in rows}
    ordered = [rows[at] for at in rows_of_step(0, rows=len(rows), batch_size=PROMPTS, seed=SEED)]
    log.add([one.model_copy(update={"run": log.run}) for row in ordered for one in by_prompt[row.item.id]])

    def nobody(*_: Any) -> Any:
        raise AssertionError("nothing is sampled, so nothing is scored")

    news = train(bundle, rows, section, folder=folder, seed=SEED, reward=Reward(nobody))
    steps = [step for step in news if isinstance(step, Step)]
    return [step.loss for step in steps], [dict(step.told) for step in steps]


def theirs(
    start: Path,
    folder: Path,
    method: Method,
    settings: dict[str, Any],
    rows: list[Asked],
    answers: list[Sampled],
    updates: int,
) -> tuple[list[float], list[dict[str, float]]]:
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    if isinstance(method, LoraMethod):
        torch.manual_seed(derive_seed(SEED, "method"))
        config = LoraConfig(
            r=method.r, lora_alpha=method.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, config)
    args = trl.GRPOConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=GROUP * PROMPTS,
        num_generations=GROUP,
        num_iterations=updates,
        max_steps=updates,
        max_completion_length=LONGEST,
        learning_rate=RATES[method.kind],
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        use_bias_correction_kl=False,  # of Shao et al. there is none
        **settings,
    )
    asked = {str(number): row for number, row in enumerate(rows)}

    def roll(prompts: list[str], trainer: Any) -> dict[str, Any]:
        left = {name: iter([one for one in answers if one.prompt == name]) for name in asked}
        chosen = [next(left[prompt]) for prompt in prompts]
        return {
            "prompt_ids": [asked[prompt].prompt.ids.tolist() for prompt in prompts],
            "completion_ids": [list(one.tokens) for one in chosen],
            "logprobs": [list(one.sampler) for one in chosen],
            "points": [one.reward for one in chosen],
        }

    def points_of(points: list[float], **_: Any) -> list[float]:
        return points

    with warnings.catch_warnings(action="ignore"):
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=points_of,
            args=args,
            train_dataset=datasets.Dataset.from_list([{"prompt": name} for name in asked]),
            processing_class=AutoTokenizer.from_pretrained(start),
            rollout_func=roll,
        )
        trainer.train()
    found = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [entry["loss"] for entry in found], found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
def test_updates_on_fixed_answers(tmp_path: Path, method: Method, name: str) -> None:
    settings, peer = CASES[name]
    bundle = start_of("tiny", tmp_path / "start")
    rows = prompts_of(bundle)
    answers = answers_of(bundle, rows, settings.get("temperature", 1.0))
    expected, theirs_told = theirs(tmp_path / "start", tmp_path, method, peer, rows, answers, UPDATES)
    losses, told = ours(bundle, section_of(method, settings, UPDATES), answers, tmp_path / "ours")
    assert len(losses) == UPDATES
    assert losses == pytest.approx(expected, rel=2e-4, abs=2e-6)
    assert max(abs(loss) for loss in losses[1:]) > 1e-3
    clipped = [entry["clip_ratio/region_mean"] for entry in theirs_told]
    assert [entry["clipped"] for entry in told] == pytest.approx(clipped, abs=1e-6)
    assert method.kind == "lora" or max(clipped) > 0
    if "kl" in settings:
        divergences = [entry["kl"] for entry in theirs_told]
        assert [entry["kl"] for entry in told] == pytest.approx(divergences, rel=2e-3, abs=1e-6)
