"""Activations made anew: the same losses and gradients under every method, and far less that is kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.soft_peer import KINDS, bundle_of, documents
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from tutelage.errors import ModelError
from tutelage.models.bundle import Bundle
from tutelage.models.rewards import with_reward_head
from tutelage.recipe.methods import DoraMethod, Ia3Method, LastMethod, Method
from tutelage.recipe.objectives import RewardObjective
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod, TuneSection
from tutelage.tune.estimate import estimate_step
from tutelage.tune.methods import build_method, learned_before
from tutelage.tune.objectives import Sft, build_objective
from tutelage.tune.objectives.objective import Objective
from tutelage.tune.reference import Reference
from tutelage.tune.rows import Pair
from tutelage.tune.training.attention import connect
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.recompute import recomputed
from tutelage.tune.training.step import Batch, accumulate

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
LENGTHS = (9, 14, 6, 23, 17)
METHODS: dict[str, Method] = {
    "lora": LoraMethod(kind="lora", r=4, dropout=0.3),
    "dora": DoraMethod(kind="dora", r=4, dropout=0.3),
    "ia3": Ia3Method(kind="ia3"),
    "last": LastMethod(kind="last", layers=1),
    "full": FullMethod(kind="full"),
    "prefix": PrefixMethod(kind="prefix", tokens=5, projection=12),
    "prompt": PromptMethod(kind="prompt", tokens=5),
}
SFT = Sft()


def outcome(
    bundle: Bundle, method: Method, rows: Sequence[Any], objective: Objective[Any] = SFT, *, anew: bool
) -> tuple[float, dict[str, Tensor], list[str]]:
    """Loss and gradients of a step in training mode, and which layers computed, in order."""
    tuned = build_method(method)(bundle, 0)
    with torch.no_grad():  # adapters begin where some gradients are zero
        for number, weight in enumerate(tuned.parameters.values()):
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) * 0.02)
    optimizer = Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))
    with connect(tuned.model, learned_before(tuned), anew=anew) as network:
        tuned.model.train()
        seen = watched(tuned.model)
        batch = Batch(1, objective, range(len(rows)), rows)
        done = accumulate(network, [batch], optimizer=optimizer, limit=40, seed=7)
        assert done.micro_batches > 1
    tuned.model.train(False)
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    return done.batches[0].loss, found, seen


def watched(model: nn.Module) -> list[str]:
    """The names of the decoder's attentions, as they compute from now on."""
    seen: list[str] = []
    for name, module in model.named_modules():
        if name.endswith("self_attn"):
            module.register_forward_hook(lambda *_, name=name: seen.append(name))
    return seen


def require_same(
    one: tuple[float, dict[str, Tensor], list[str]], other: tuple[float, dict[str, Tensor], list[str]]
) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-6)
    assert one[1].keys() == other[1].keys()
    assert any(gradient.abs().max() > 1e-4 for gradient in one[1].values())
    for name, gradient in one[1].items():
        torch.testing.assert_close(
            gradient, other[1][name], rtol=1e-6, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_learns_the_same(kind: str, method: str) -> None:
    rows = documents(LENGTHS)
    plain = outcome(bundle_of(kind), METHODS[method], rows, anew=False)
    anew = outcome(bundle_of(kind), METHODS[method], rows, anew=True)
    require_same(anew, plain)
    assert len(anew[2]) > len(plain[2]), "layers that keep less compute twice"


def test_a_reward_model_learns_the_same() -> None:
    objective = build_objective(RewardObjective(kind="reward", center=0.05), Reference())
    rows = [Pair(first, second) for first, second in zip(documents(LENGTHS), documents(LENGTHS[::-1]), strict=True)]
    plain, anew = (
        outcome(with_reward_head(bundle_of("tiny"), seed=2), METHODS["lora"], rows, objective, anew=anew)
        for anew in (False, True)
    )
    require_same(anew, plain)


@pytest.mark.parametrize("anew", [False, True])
def test_what_is_kept_is_the_input_of_each_layer(anew: bool) -> None:
    """In bytes, as the estimate has it but for what one layer takes on its own way back."""
    bundle = bundle_of("grouped heads")
    section = TuneSection(method=LoraMethod(kind="lora", r=4), activation_checkpointing=anew)
    rows = documents((60, 70))
    tokens, layers, hidden = 130, 3, 32
    estimated = estimate_step(bundle, section, tokens=tokens, targets=10)
    tuned = build_method(section.method)(bundle, 0)
    kept: dict[int, Tensor] = {}

    def keep(saved: Tensor) -> Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved  # while it is held no other gets its address
        return saved

    with connect(tuned.model, anew=anew) as network:
        tuned.model.train()
        packed = network.pack(rows, share=False)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            states = network.hidden(packed)
    weights = {parameter.untyped_storage().data_ptr() for parameter in tuned.model.parameters()}
    size = sum(one.untyped_storage().nbytes() for place, one in kept.items() if place not in weights)
    assert states.shape == (tokens, hidden)
    assert estimated is not None
    inputs = 4 * tokens * layers * hidden
    of_one = 4 * tokens * (4 * 32 + 2 * 32 + 2 * 16 + 2 * 48 + 7 * 4)
    assert estimated.activations == (inputs + of_one if anew else layers * of_one)
    if anew:
        last = 4 * tokens * (hidden + 1)  # the norm behind the layers: what goes in, and its divisors
        assert inputs <= size <= inputs + 1.2 * last
        assert size < 0.35 * layers * of_one
    else:
        assert size > 0.7 * layers * of_one


def test_layers_are_their_own_again_and_compute_once_without_a_way_back() -> None:
    bundle = bundle_of("tiny")
    ids = torch.as_tensor(np.arange(12))[None]
    with recomputed(bundle.model, GradientCheckpointingLayer) as count:
        assert count == bundle.model.config.num_hidden_layers
        bundle.model.train()
        seen = watched(bundle.model)
        with torch.no_grad():
            found = bundle.model.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
        assert found.shape[1] > ids.shape[1]
        assert len(seen) == count * (found.shape[1] - ids.shape[1])
    assert not any("forward" in vars(module) for module in bundle.model.modules())


def test_a_model_without_such_layers_is_refused() -> None:
    words = r"^Linear: .*computed anew\. Leave out tune\.activation_checkpointing"
    with pytest.raises(ModelError, match=words), recomputed(nn.Linear(2, 2), GradientCheckpointingLayer):
        pass
