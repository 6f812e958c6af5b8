"""Optimizers on float32 master weights.

A bfloat16 weight has 8 significant bits: an update smaller than 1/256 of it vanishes, and at usual learning rates
most are. So weights of less than float32 get a float32 master; gradients are summed into it, moments and update live
there, and the weight is its rounding.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tutelage.recipe.tune import AdamWOptimizer

FUSED_DEVICES = ("cpu", "cuda")
"""Where AdamW is one kernel for all weights; else it is some ten for each of hundreds of small adapters."""


class Optimizer:
    """One of torch's optimizers over master weights, with gradient clipping and a state made of named tensors.

    Parameters
    ----------
    parameters: the trained weights by name, in a fixed order.
    section: kind and settings; the learning rate comes with each step.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], section: AdamWOptimizer) -> None:
        self.parameters = dict(parameters)
        # Matrices first: torch numbers the weights of its groups in order, and only matrices decay.
        ordered = sorted(self.parameters.items(), key=lambda named: named[1].ndim <= 1)
        self.masters = {name: _master(parameter) for name, parameter in ordered}
        self._torch = _build(self.masters, section)

    def collect(self) -> None:
        """Add the gradients of one micro-batch to the masters, in float32, and free them."""
        for name, parameter in self.parameters.items():
            master = self.masters[name]
            if master is parameter or parameter.grad is None:
                continue
            gradient = parameter.grad.float()
            master.grad = gradient if master.grad is None else master.grad.add_(gradient)
            parameter.grad = None

    def discard(self) -> None:
        """Forget what has been collected."""
        for weights in (*self.parameters.values(), *self.masters.values()):
            weights.grad = None

    def clip(self, max_norm: float) -> float:
        """Scale the collected gradient to at most ``max_norm`` (0 = leave it) and return its norm before."""
        gradients = [master.grad for master in self.masters.values() if master.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if max_norm:
            nn.utils.clip_grads_with_norm_(self.masters.values(), max_norm, norm)
        return norm.item()

    def step(self, lr: float) -> None:
        """Move the masters at learning rate ``lr``, round them into the weights and forget the gradient."""
        for group in self._torch.param_groups:
            group["lr"] = lr
        self._torch.step()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if self.masters[name] is not parameter:
                    parameter.copy_(self.masters[name])
        self.discard()

    def state(self) -> dict[str, Tensor]:
        """Return masters and moments as tensors by ``weight/key``."""
        names = list(self.masters)
        state = {f"{name}/master": master.detach() for name, master in self.masters.items()}
        for index, moments in self._torch.state_dict()["state"].items():
            state |= {f"{names[index]}/{key}": torch.as_tensor(value) for key, value in moments.items()}
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state` returned, and round the masters into the weights."""
        moments: dict[str, dict[str, Tensor]] = {name: {} for name in self.masters}
        for label, value in state.items():
            name, key = label.rsplit("/", 1)
            if key != "master":
                moments[name][key] = value
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(state[f"{name}/master"])
                if master is not self.parameters[name]:
                    self.parameters[name].copy_(master)
        numbered = {index: kept for index, kept in enumerate(moments.values()) if kept}
        self._torch.load_state_dict({**self._torch.state_dict(), "state": numbered})


def _master(parameter: nn.Parameter) -> nn.Parameter:
    if parameter.dtype == torch.float32:
        return parameter
    return nn.Parameter(parameter.detach().float(), requires_grad=True)


def _build(masters: Mapping[str, nn.Parameter], section: AdamWOptimizer) -> torch.optim.Optimizer:
    matrices = [master for master in masters.values() if master.ndim > 1]
    others = [master for master in masters.values() if master.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": section.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = next(iter(masters.values())).device.type in FUSED_DEVICES
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=section.lr, betas=section.betas, fused=fused
    )
