"""Activations made anew in a whole training: the same losses and weights, also when it is set on the way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from support.letters import Letters
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.asking import reward_of
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.objectives import SftObjective
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod, RetentionSection, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Progress, Saved, Summary, train
from tutelage.tune.rows import Asked, Row

SFT = TuneSection(
    objective=SftObjective(kind="sft"),
    method=LoraMethod(kind="lora", r=4, dropout=0.2),
    optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
    retention=RetentionSection(texts=3, tokens=12),
    batch_size=2,
    epochs=3,
    checkpoint_every=2,
    micro_batch_tokens=64,
)
GRPO = SFT.model_copy(
    update={
        "objective": GrpoObjective(kind="grpo", group=4, max_tokens=12, updates=2, kl=0.1),
        "retention": None,
        "max_steps": 5,
    }
)
SECTIONS = {"sft": SFT, "grpo": GRPO}
TASK = Letters(silent="abcdef")
WORDS = ("It is the river.", "In the garden.", "It is not stated.", "Thanks.")


def rows_for(section: TuneSection) -> list[Row]:
    template = tiny_model().template
    if section.objective.kind == "sft":
        return [template.encode((user("What is it?"), assistant(words))) for words in WORDS]
    rows: list[Row] = []
    for item in TASK.items("train", "basic", 4, 0):
        ids = np.asarray(template.encode_prompt(item.messages), dtype=np.int32)
        rows.append(Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), item))
    return rows


def follow(folder: Path, section: TuneSection) -> Iterator[Progress]:
    reward = reward_of({TASK.name: TASK}) if section.objective.kind == "grpo" else None
    return train(tiny_model(), rows_for(section), section, folder=folder, seed=3, reward=reward)


def finish(folder: Path, section: TuneSection) -> Summary:
    *_, summary = follow(folder, section)
    assert isinstance(summary, Summary)
    return summary


@pytest.mark.parametrize("name", SECTIONS)
def test_a_training_that_began_without_goes_on_with_it(tmp_path: Path, name: str) -> None:
    section = SECTIONS[name]
    anew = section.model_copy(update={"activation_checkpointing": True})
    whole = finish(tmp_path / "plain", section)
    assert finish(tmp_path / "anew", anew).losses == pytest.approx(whole.losses, rel=1e-6, abs=1e-6)
    news = follow(tmp_path / "both", section)
    next(item for item in news if isinstance(item, Saved))
    news.close()  # type: ignore[attr-defined]
    *_, summary = follow(tmp_path / "both", anew)
    assert isinstance(summary, Summary)
    assert summary.losses == pytest.approx(whole.losses, rel=1e-6, abs=1e-6)
    assert len(set(whole.losses)) > 1
    assert summary.reload_difference == 0
    weights = [load_file(tmp_path / of / "weights" / "adapter_model.safetensors") for of in ("plain", "both")]
    for key, value in weights[0].items():
        assert (value - weights[1][key]).abs().max() <= 1e-6
