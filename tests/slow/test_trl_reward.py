"""Twenty steps of a reward model give the losses of TRL's RewardTrainer, in float32, full and LoRA.

Same weights, head, pairs, order, optimizer and adapters; margins of rows, a constant one beside them, and centering.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
import trl

from support.trl_peer import (
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
from tutelage.models.rewards import with_reward_head
from tutelage.recipe.objectives import RewardObjective
from tutelage.recipe.tune import FullMethod, LoraMethod, Method
from tutelage.records import assistant, user
from tutelage.seeds import derive_seed
from tutelage.tune import Step, train
from tutelage.tune.rows import Pair

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the peer warns of its own settings

FULL, LORA = FullMethod(kind="full"), LoraMethod(kind="lora", r=4)
OBJECTIVES = {
    "plain": RewardObjective(kind="reward"),
    "margins": RewardObjective(kind="reward", margin=0.2),
    "centered": RewardObjective(kind="reward", center=0.05),
}


def pairs(bundle: Bundle, *, margins: bool) -> list[Pair]:
    generator = torch.Generator().manual_seed(0)

    def document(question: str) -> Any:
        return bundle.template.encode((user(question), assistant(words(generator, 20))), last=True)

    questions = [words(generator, 30) for _ in range(ROWS)]
    return [Pair(document(one), document(one), at % 3 / 2 if margins else 0.0) for at, one in enumerate(questions)]


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
def test_twenty_steps(tmp_path: Path, method: Method, kind: str) -> None:
    objective, folder = OBJECTIVES[kind], tmp_path / "start"
    bundle = start_of("tiny", folder)
    head = with_reward_head(bundle, seed=derive_seed(SEED, "head")).model.get_parameter("score.weight").detach().clone()
    rows = pairs(bundle, margins=kind == "margins")
    news = train(bundle, rows, section_of(objective, method), folder=tmp_path / "ours", seed=SEED)
    ours = [step.loss for step in news if isinstance(step, Step)]
    data: list[dict[str, Any]] = [
        {"chosen_ids": rows[at].chosen.ids.tolist(), "rejected_ids": rows[at].rejected.ids.tolist()}
        | ({"margin": objective.margin + rows[at].margin} if kind == "margins" else {})
        for at in order_of_rows()
    ]
    args = trl.RewardConfig(
        max_length=None, center_rewards_coefficient=objective.center or None, **settings_of(tmp_path, method)
    )
    expected = losses_of(trl.RewardTrainer, args, folder, method, first=data, head=head)
    assert len(ours) == STEPS
    assert min(ours[-5:]) < ours[0]
    assert ours == pytest.approx(expected, rel=1e-4)
