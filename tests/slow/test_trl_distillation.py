"""Twenty steps of distillation give the losses of TRL's GKDTrainer on the same texts, in float32, full and LoRA.

On-policy, the texts are what our student answered in each step; the peer gets them as if they had been written.
"""

import warnings
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

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
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import KdObjective
from tutelage.recipe.tune import FullMethod, LoraMethod, Method
from tutelage.records import assistant, user
from tutelage.records.jsonl import read_records
from tutelage.tune import Step, train
from tutelage.tune.own_answers import prompt_of
from tutelage.tune.reference import key_of
from tutelage.tune.rollouts import FILE, Sampled
from tutelage.tune.sampling import behind

with warnings.catch_warnings(action="ignore"):  # of being experimental
    from trl.experimental.gkd import GKDConfig, GKDTrainer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the peer warns of its own settings


def teacher() -> Bundle:
    """The tiny model, its weights moved at random."""
    bundle = tiny_model()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in bundle.model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3 * weight.abs().mean())
        bundle.model.model.norm.weight.mul_(3)
    return bundle


def padded(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    ids, labels = ([torch.tensor(row[name]) for row in rows] for name in ("input_ids", "labels"))
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
    }


@pytest.mark.parametrize("on_policy", [0.0, 1.0], ids=["written", "sampled"])
@pytest.mark.parametrize(("divergence", "peer_beta"), [("forward", 0.0), ("jsd", 0.3), ("reverse", 1.0)])
@pytest.mark.parametrize("method", [FullMethod(kind="full"), LoraMethod(kind="lora", r=4)], ids=["full", "lora"])
def test_twenty_steps(
    tmp_path: Path,
    method: Method,
    divergence: Literal["forward", "reverse", "jsd"],
    peer_beta: float,
    on_policy: float,
) -> None:
    bundle = start_of("tiny", tmp_path / "start")
    generator = torch.Generator().manual_seed(0)
    rows = [bundle.template.encode((user(words(generator, 30)), assistant(words(generator, 20)))) for _ in range(ROWS)]
    own = {"beta": peer_beta} if divergence == "jsd" else {}
    objective = KdObjective(
        kind="kd", teacher="made here", divergence=divergence, on_policy=on_policy, answer_tokens=20, **own
    )
    section = section_of(objective, method)
    news = train(bundle, rows, section, folder=tmp_path / "ours", seed=SEED, open_teacher=lambda _: teacher())
    ours = [step.loss for step in news if isinstance(step, Step)]
    seen = [rows[at] for at in order_of_rows()]
    if on_policy:
        answers = read_records(tmp_path / "ours" / FILE, Sampled)
        prompts = {key_of(row): prompt_of(row) for row in rows}
        seen = [behind(prompts[one.prompt], one.tokens) for one in answers]
    data = [
        {
            "input_ids": row.ids.tolist(),
            "labels": [int(t) if m else -100 for t, m in zip(row.ids, row.targets, strict=True)],
        }
        for row in seen
    ]
    args = GKDConfig(lmbda=0.0, beta=peer_beta, **settings_of(tmp_path, method))
    model: PreTrainedModel = teacher().model
    more = {"teacher_model": model, "data_collator": padded}
    expected = losses_of(GKDTrainer, args, tmp_path / "start", method, first=data[:BATCH], data=data, **more)
    assert len(ours) == STEPS
    assert on_policy or min(ours[-5:]) < ours[0]
    assert len(data) == STEPS * BATCH
    assert ours == pytest.approx(expected, rel=1e-4)
