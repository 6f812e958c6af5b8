"""Supervised tuning gives the losses of TRL's SFTTrainer, in float32, full and LoRA.

Twenty steps of the tiny model, and six of the default one, of which each takes seconds.

Same weights, rows, order, optimizer and adapters. TRL pads its batches and masks; here documents are packed, what they
begin with alike is computed once, and only target rows reach the output layer: nothing of that may show in the loss.
"""

from pathlib import Path

import pytest
import torch
import trl

from support.trl_peer import ROWS, SEED, STEPS, losses_of, order_of_rows, section_of, settings_of, start_of, words
from tutelage.recipe.objectives import SftObjective
from tutelage.recipe.tune import FullMethod, LoraMethod, Method
from tutelage.records import assistant, user
from tutelage.tune import Step, train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the peer warns of its own settings

FULL, LORA = FullMethod(kind="full"), LoraMethod(kind="lora", r=4)


@pytest.mark.parametrize(
    ("model", "method", "steps"),
    [("tiny", FULL, STEPS), ("tiny", LORA, STEPS), ("default", LORA, 6)],
    ids=["tiny-full", "tiny-lora", "default-lora"],
)
def test_the_loss_of_every_step(tmp_path: Path, model: str, method: Method, steps: int) -> None:
    bundle = start_of(model, tmp_path / "start")
    generator = torch.Generator().manual_seed(0)
    rows = [bundle.template.encode((user(words(generator, 16)), assistant(words(generator, 12)))) for _ in range(ROWS)]
    section = section_of(SftObjective(kind="sft"), method).model_copy(update={"max_steps": steps})
    news = train(bundle, rows, section, folder=tmp_path / "ours", seed=SEED)
    ours = [step.loss for step in news if isinstance(step, Step)]
    data = [
        {"input_ids": rows[at].ids.tolist(), "completion_mask": rows[at].targets.astype(int).tolist()}
        for at in order_of_rows()
    ]
    settings = {**settings_of(tmp_path, method), "max_steps": steps}
    args = trl.SFTConfig(max_length=None, completion_only_loss=True, **settings)
    expected = losses_of(trl.SFTTrainer, args, tmp_path / "start", method, first=data)
    assert len(ours) == steps
    assert ours[-1] < ours[0]
    assert ours == pytest.approx(expected, rel=1e-4)
