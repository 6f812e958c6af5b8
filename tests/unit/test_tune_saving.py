"""What tuning refuses to hand over, and what it takes for the same run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tutelage.errors import TrainingError
from tutelage.models.hardware import cast_weights
from tutelage.models.load import Bundle
from tutelage.models.rewards import with_reward_head
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import RewardObjective
from tutelage.recipe.tune import FullMethod, LoraMethod, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import train
from tutelage.tune.methods import Tuned, build_method
from tutelage.tune.rows import Pair
from tutelage.tune.training import loop
from tutelage.tune.training.checkpoint import fingerprint_of

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
LORA = TuneSection(method=LoraMethod(kind="lora", r=4), max_steps=2, batch_size=2, checkpoint_every=1)
FULL = LORA.model_copy(update={"method": FullMethod(kind="full")})
ADAPTER, WHOLE = "adapter_model.safetensors", "model.safetensors"
Tensors = dict[str, Tensor]


def untied() -> Bundle:
    """A tiny model whose output layer is its own: a broken embedding is met by the rows that hold the token alone."""
    bundle = tiny_model()
    head = bundle.model.get_output_embeddings()
    assert head is not None
    head.weight = nn.Parameter(head.weight.detach().clone())
    bundle.model.config.tie_word_embeddings = False
    return bundle


def documents(bundle: Bundle) -> list[Encoded]:
    talks = (("Say a.", "a"), ("Say b.", "b"), ("Say Z!", "Z"))
    return [bundle.template.encode((user(asked), assistant(answer))) for asked, answer in talks]


def spoil(monkeypatch: pytest.MonkeyPatch, file: str, change: Callable[[Tensors], object]) -> None:
    """Let whatever is saved lose something on its way to the disk."""

    def method(section: LoraMethod | FullMethod) -> Callable[[Bundle, int], Tuned]:
        def build(bundle: Bundle, seed: int) -> Tuned:
            tuned = build_method(section)(bundle, seed)
            save = tuned.save

            def lossy(folder: Path) -> None:
                save(folder)
                tensors = load_file(folder / file)
                change(tensors)
                save_file(tensors, folder / file, metadata={"format": "pt"})

            monkeypatch.setattr(tuned, "save", lossy)
            return tuned

        return build

    monkeypatch.setattr(loop, "build_method", method)


def alter_first(tensors: Tensors) -> None:
    name = min(name for name in tensors if "lora_B" in name)
    tensors[name] = torch.full_like(tensors[name], 3.0)


def halve_norm(tensors: Tensors) -> None:
    tensors["model.norm.weight"] *= 0.5


@pytest.mark.parametrize(
    ("section", "file", "change"),
    [(LORA, ADAPTER, alter_first), (LORA, ADAPTER, dict.clear), (FULL, WHOLE, halve_norm)],
)
def test_weights_that_come_back_otherwise_are_not_handed_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    section: TuneSection,
    file: str,
    change: Callable[[Tensors], object],
) -> None:
    spoil(monkeypatch, file, change)
    bundle = tiny_model()
    with pytest.raises(TrainingError, match=r"do not compute what the trained model computes.*logits that differ by"):
        list(train(bundle, documents(bundle), section, folder=tmp_path, seed=1))
    assert not (tmp_path / "weights").exists()
    assert not (tmp_path / "summary.json").exists()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000002"]


@pytest.mark.parametrize(
    ("section", "file", "head"), [(LORA, ADAPTER, "base_model.model.score.weight"), (FULL, WHOLE, "score.weight")]
)
@pytest.mark.parametrize("lose", [dict.pop, lambda tensors, name: tensors[name].mul_(1.01)], ids=["lost", "changed"])
def test_a_reward_head_that_does_not_come_back_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    section: TuneSection,
    file: str,
    head: str,
    lose: Callable[[Tensors, str], object],
) -> None:
    spoil(monkeypatch, file, lambda tensors: lose(tensors, head))
    bundle = tiny_model()
    first, second, third = documents(bundle)
    rewards = section.model_copy(update={"objective": RewardObjective(kind="reward")})
    with pytest.raises(TrainingError, match=r"rewards that differ by|missing from what was saved.*score.weight"):
        list(train(bundle, [Pair(first, second), Pair(third, first)], rewards, folder=tmp_path, seed=1))
    assert not (tmp_path / "weights").exists()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001"]


def test_a_head_that_nothing_was_read_for_is_no_number(tmp_path: Path) -> None:
    """PEFT leaves the trained head in the base model, where it would pass for the one that was read."""
    bundle = with_reward_head(tiny_model(), seed=0)
    tuned = build_method(LoraMethod(kind="lora", r=2))(bundle, 0)
    tuned.save(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "task_type": None, "modules_to_save": None}))
    tensors = load_file(tmp_path / ADAPTER)
    del tensors["base_model.model.score.weight"]
    save_file(tensors, tmp_path / ADAPTER, metadata={"format": "pt"})
    with tuned.reloaded(tmp_path) as again:
        assert again(input_ids=torch.arange(5)[None]).logits.isnan().all()


def test_a_logit_that_is_no_number_is_seen_in_any_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = untied()
    rows = documents(bundle)
    own = sorted(set(rows[2].ids.tolist()) - set(rows[0].ids.tolist()) - set(rows[1].ids.tolist()))
    assert own, "the last row has a token that the others lack"

    def break_token(tensors: Tensors) -> None:
        tensors["model.embed_tokens.weight"][own[0]] = float("nan")

    spoil(monkeypatch, WHOLE, break_token)
    with pytest.raises(TrainingError, match="logits that differ by nan"):
        list(train(bundle, rows, FULL, folder=tmp_path, seed=1))
    assert not (tmp_path / "weights").exists()


def test_weights_that_come_back_are_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, WHOLE, lambda tensors: None)
    bundle = untied()
    *_, summary = train(bundle, documents(bundle), FULL, folder=tmp_path, seed=1)
    assert getattr(summary, "reload_difference", None) == 0.0
    assert (tmp_path / "weights" / WHOLE).is_file()


def test_the_arithmetic_of_the_weights_is_part_of_what_a_run_is() -> None:
    """The first values of a model that was rounded before are the same numbers in both."""
    prints = []
    for dtype in (torch.bfloat16, torch.float32, torch.float32):
        bundle = tiny_model()
        cast_weights(bundle.model, torch.bfloat16)
        cast_weights(bundle.model, dtype)
        prints.append(fingerprint_of(bundle.model, documents(bundle), LORA, seed=1))
    assert prints[0] != prints[1]
    assert prints[1] == prints[2]
