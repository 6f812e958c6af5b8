"""Twenty steps of each objective of preferences give the losses of TRL's trainers, in float32, full and LoRA.

Same weights, answers, order, optimizer and adapters. TRL pads, computes every prompt once an answer and runs the
reference beside the policy; here rows are packed, what they begin with alike is computed once, and the reference is
computed before the first step: nothing of that may show in the loss.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import trl

from support.trl_peer import (
    BATCH,
    ROWS,
    SEED,
    STEPS,
    losses_of,
    order_of_rows,
    section_of,
    settings_of,
    start_of,
    words,
)
from tutelage.models.load import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.objectives import (
    DpoObjective,
    IpoObjective,
    KtoObjective,
    Objective,
    OrpoObjective,
    SimpoObjective,
)
from tutelage.recipe.tune import FullMethod, LoraMethod, Method
from tutelage.records import assistant, user
from tutelage.tune import Step, train
from tutelage.tune.rows import Pair, Rated

with warnings.catch_warnings(action="ignore"):  # of being experimental
    from trl.experimental.cpo import CPOConfig, CPOTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the peer warns of its own settings

Row = dict[str, Any]
FULL, LORA = FullMethod(kind="full"), LoraMethod(kind="lora", r=4)
OBJECTIVES: dict[str, Objective] = {
    "dpo": DpoObjective(kind="dpo", beta=0.2),
    "ipo": IpoObjective(kind="ipo", tau=0.3),
    "kto": KtoObjective(kind="kto", beta=0.2, wanted=1.2, unwanted=0.9),
    "orpo": OrpoObjective(kind="orpo", weight=0.4),
    "simpo": SimpoObjective(kind="simpo", beta=2.0, gamma=0.8),
}


def pairs(bundle: Bundle, *, prompted: bool) -> list[Pair]:
    """Answers of random words; without ``prompted`` a prompt is one token, whose loss ORPO's trainer cannot count."""
    generator = torch.Generator().manual_seed(0)

    def answered(question: str) -> Encoded:
        encoded = bundle.template.encode((user(question), assistant(words(generator, 20))), last=True)
        first = 0 if prompted else int(encoded.targets.argmax()) - 1
        return Encoded(encoded.ids[first:], encoded.targets[first:])

    questions = [words(generator, 30) for _ in range(ROWS)]
    return [Pair(answered(question), answered(question)) for question in questions]


def split(document: Encoded) -> tuple[list[int], list[int]]:
    return document.ids[: int(document.targets.argmax())].tolist(), document.ids[document.targets].tolist()


def of_dpo(pair: Pair) -> Row:
    return dict(
        zip(("prompt_ids", "chosen_ids", "rejected_ids"), (*split(pair.chosen), split(pair.rejected)[1]), strict=True)
    )


def labelled(pair: Pair) -> Row:
    row: Row = {"prompt_input_ids": split(pair.chosen)[0], "prompt_attention_mask": [1] * len(split(pair.chosen)[0])}
    for name, document in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        prompt, answer = split(document)
        row[f"{name}_input_ids"] = prompt + answer
        row[f"{name}_attention_mask"] = [1] * len(prompt + answer)
        row[f"{name}_labels"] = [-100] * len(prompt) + answer
    return row


def of_kto(rows: list[Rated]) -> list[Row]:
    made = [
        {"prompt_ids": prompt, "completion_ids": answer, "label": row.wanted}
        for row in rows
        for prompt, answer in [split(row.answer)]
    ]
    for start in range(0, len(made), BATCH):
        step = made[start : start + BATCH]
        for row, before in zip(step, [step[-1], *step[:-1]], strict=True):
            row["KL_completion_ids"] = before["completion_ids"]
    return made


def peer(kind: str, settings: dict[str, Any]) -> tuple[type, Any]:
    """TRL's trainer and its configuration."""
    match kind:
        case "dpo":
            return trl.DPOTrainer, trl.DPOConfig(beta=0.2, max_length=None, **settings)
        case "ipo":
            return trl.DPOTrainer, trl.DPOConfig(beta=0.3, loss_type=["ipo"], max_length=None, **settings)
        case "kto":
            return trl.KTOTrainer, trl.KTOConfig(
                beta=0.2, desirable_weight=1.2, undesirable_weight=0.9, max_length=None, **settings
            )
        case "orpo":
            return ORPOTrainer, ORPOConfig(beta=0.4, **settings)
        case _:
            return CPOTrainer, CPOConfig(loss_type="simpo", beta=2.0, simpo_gamma=0.8, cpo_alpha=0.0, **settings)


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
def test_twenty_steps(tmp_path: Path, method: Method, kind: str) -> None:
    bundle = start_of("tiny", tmp_path / "start")
    found = pairs(bundle, prompted=kind != "orpo")
    rows: list[Any] = found
    if kind == "kto":
        rows = [Rated((pair.chosen, pair.rejected)[at % 2], at % 2 == 0) for at, pair in enumerate(found)]
    news = train(bundle, rows, section_of(OBJECTIVES[kind], method), folder=tmp_path / "ours", seed=SEED)
    ours = [step.loss for step in news if isinstance(step, Step)]
    shape: Callable[[Pair], Row] = of_dpo if kind in {"dpo", "ipo"} else labelled
    ordered = [rows[at] for at in order_of_rows()]
    data = of_kto(ordered) if kind == "kto" else [shape(row) for row in ordered]
    first: Row = {"prompt": "the", "chosen": " city", "rejected": " river"}
    if kind == "kto":
        first = {"prompt": "the", "completion": " city", "label": True}
    trainer, args = peer(kind, {"remove_unused_columns": False, **settings_of(tmp_path, method)})
    expected = losses_of(trainer, args, tmp_path / "start", method, first=[first] * BATCH, data=data)
    assert len(ours) == STEPS
    assert min(ours[-5:]) < ours[0]
    assert ours == pytest.approx(expected, rel=1e-4)
