"""Optimizers on float32 master weights.

A bfloat16 weight has 8 significant bits: an update smaller than 1/256 of it vanishes, and at usual learning rates
most are. So weights of less than float32 get a float32 master; gradients are summed into it, moments and update live
there, and the weight is its rounding.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.errors import TrainingError
from tutelage.recipe.tune import AdafactorOptimizer, AdamWOptimizer, TorchOptimizer
from tutelage.recipe.tune import Optimizer as Section

UNSUITABLE = {"Optimizer", "LBFGS", "SparseAdam"}
"""The base class, one that computes the loss several times a step, and one for sparse gradients."""

FUSED_DEVICES = ("cpu", "cuda")
"""Where AdamW is one kernel for all weights; else it is some ten for each of hundreds of small adapters."""


class Optimizer:
    """One of torch's optimizers over master weights, with gradient clipping and a state made of named tensors.

    Parameters
    ----------
    parameters: the trained weights by name, in a fixed order.
    section: kind and settings; the learning rate comes with each step.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], section: Section) -> None:
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
            kept = {key: value for key, value in moments.items() if value is not None}
            state |= {f"{names[index]}/{key}": torch.as_tensor(value) for key, value in kept.items()}
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


def check_optimizer(section: Section) -> None:
    """Raise :class:`TrainingError` if torch has no such optimizer, or it does not take its options."""
    _build({"weight": nn.Parameter(torch.zeros(2, 2))}, section)


def _master(parameter: nn.Parameter) -> nn.Parameter:
    if parameter.dtype == torch.float32:
        return parameter
    return nn.Parameter(parameter.detach().float(), requires_grad=True)


def _build(masters: Mapping[str, nn.Parameter], section: Section) -> torch.optim.Optimizer:
    match section:
        case AdamWOptimizer():
            fused = next(iter(masters.values())).device.type in FUSED_DEVICES
            groups = _groups(masters, section.weight_decay)
            return torch.optim.AdamW(groups, lr=section.lr, betas=section.betas, fused=fused)
        case AdafactorOptimizer():
            groups = _groups(masters, section.weight_decay)
            return torch.optim.Adafactor(groups, lr=section.lr, beta2_decay=section.beta2_decay)
        case TorchOptimizer():
            return _by_name(masters, section)


def _groups(masters: Mapping[str, nn.Parameter], weight_decay: float | None) -> list[dict[str, Any]]:
    """Matrices, and what never decays; None: an optimizer that knows no decay."""
    if weight_decay is None:
        return [{"params": list(masters.values())}]
    matrices = [master for master in masters.values() if master.ndim > 1]
    others = [master for master in masters.values() if master.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _by_name(masters: Mapping[str, nn.Parameter], section: TorchOptimizer) -> torch.optim.Optimizer:
    """Any optimizer that moves dense weights by one gradient a step."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        name: kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name not in UNSUITABLE
    }
    where = "tune.optimizer"
    if section.name not in kinds:
        near = difflib.get_close_matches(section.name, kinds, n=1, cutoff=0.4)
        remedy = f"did you mean {near[0]}?" if near else f"choose among {', '.join(sorted(kinds))}"
        raise TrainingError("torch.optim has no such optimizer", where=where, received=section.name, remedy=remedy)
    options: dict[str, Any] = dict(section.options)
    known = inspect.signature(kinds[section.name]).parameters
    decay = options.pop("weight_decay", 0.0) if "weight_decay" in known else None
    try:
        return kinds[section.name](_groups(masters, decay), lr=section.lr, **options)
    except (TypeError, ValueError) as error:
        taken = ", ".join(sorted(set(known) - {"params", "lr"}))
        remedy = f"it takes {taken}"
        raise TrainingError(f"{section.name} refuses: {error}", where=where, remedy=remedy) from error
