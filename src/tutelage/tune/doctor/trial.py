"""An adapter whose weights are not zero, and what a step's gradient is."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod
from tutelage.tune.methods import Tuned, build_method
from tutelage.tune.objectives import Sft
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Batch, accumulate, update

METHOD = LoraMethod(kind="lora")
OPTIMIZER = AdamWOptimizer(kind="adamw")
LEARNING_RATE = 1e-4
DEVIATION = 0.01
"""Of the weights B of the trial's adapter, which begin at zero otherwise and would hide what is done to them."""


def trial_adapter(bundle: Bundle, *, seed: int) -> Tuned:
    """Put an adapter on the bundle's model all of whose weights are random."""
    tuned = build_method(METHOD)(bundle, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in tuned.parameters.items():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * DEVIATION)
    return tuned


def gradient(
    network: Network, optimizer: Optimizer, documents: Sequence[Encoded], *, limit: int
) -> tuple[float, dict[str, Tensor], int]:
    """Return the loss of one step over ``documents``, its gradient by weight, and its number of micro-batches."""
    batch = Batch(1, Sft(), range(len(documents)), documents)
    done = accumulate(network, [batch], optimizer=optimizer, limit=limit, seed=0)
    return done.batches[0].loss, collected(optimizer), done.micro_batches


def make_step(network: Network, optimizer: Optimizer, documents: Sequence[Encoded]) -> None:
    """Make one optimizer step over ``documents``, all in one micro-batch."""
    batch = Batch(1, Sft(), range(len(documents)), documents)
    accumulate(network, [batch], optimizer=optimizer, limit=sum(map(len, documents)), seed=0)
    update(optimizer, batch, lr=LEARNING_RATE, clip_norm=1.0)


def collected(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the gradient that ``optimizer`` has collected, in float32, and let it forget it."""
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    optimizer.discard()
    return found


def gap(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Return ‖found − expected‖ / ‖expected‖ over all weights."""
    apart = sum((found[name] - gradient).square().sum().item() for name, gradient in expected.items())
    whole = sum(gradient.square().sum().item() for gradient in expected.values())
    return float((apart / whole) ** 0.5) if whole else float("nan")
