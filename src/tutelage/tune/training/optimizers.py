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
from tutelage.recipe.methods import Ia3Method, LoraMethod, Method, QloraMethod
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdafactorOptimizer, AdamWOptimizer, TorchOptimizer, TuneSection
from tutelage.recipe.tune import Optimizer as Section
from tutelage.tune.training.processes import Processes, digest_of

UNSUITABLE = {
    "LBFGS": "computes the loss several times a step",
    "Rprop": "takes steps of its own, whatever the learning rate and its schedule are",
    "SparseAdam": "is for sparse gradients",
}
"""Optimizers of torch that do not fit here, and why."""

WHERE = "tune.optimizer"
FACTORS = "ia3_l."
"""What the names of IA³'s factors have in them (PEFT)."""
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
        # Torch numbers the weights of its groups in order, and those that decay are the first group.
        ordered = sorted(self.parameters.items(), key=lambda named: not _decays(*named))
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

    def add_up(self, processes: Processes) -> None:
        """Add what other processes have collected; a weight that none has a gradient of keeps none."""
        masters = list(self.masters.values())
        known = processes.gather([master.grad is not None for master in masters])
        moved = [master for master, *has in zip(masters, *known, strict=True) if any(has)]
        for master in moved:
            if master.grad is None:
                master.grad = torch.zeros_like(master)
        processes.add_up([master.grad for master in moved if master.grad is not None])

    def discard(self) -> None:
        """Forget what has been collected."""
        for weights in (*self.parameters.values(), *self.masters.values()):
            weights.grad = None

    def clip(self, max_norm: float) -> float:
        """Scale the collected gradient to at most ``max_norm`` (0 = leave it) and return its norm before."""
        norm = self.norm()
        if max_norm:
            nn.utils.clip_grads_with_norm_(self.masters.values(), max_norm, norm)
        return norm.item()

    def norm(self) -> Tensor:
        """Return the norm of the collected gradient, float32."""
        return nn.utils.get_total_norm([master.grad for master in self.masters.values() if master.grad is not None])

    def require_same(self, processes: Processes) -> None:
        """Raise :class:`TrainingError` unless the masters of all processes are the same, bit by bit."""
        processes.require_same(lambda: digest_of(self.masters.values()), "trained weights")

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

    def weights(self) -> dict[str, Tensor]:
        """Return the masters by the names of their weights."""
        return {name: master.detach() for name, master in self.masters.items()}

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Give the masters the values of what :meth:`weights` returned, and round them into the weights."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(weights[name])
                if master is not self.parameters[name]:
                    self.parameters[name].copy_(master)

    def state(self) -> dict[str, Tensor]:
        """Return masters and moments as tensors by ``weight/key``."""
        names = list(self.masters)
        state = {f"{name}/master": master for name, master in self.weights().items()}
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
        self.take({name: state[f"{name}/master"] for name in self.masters})
        numbered = {index: kept for index, kept in enumerate(moments.values()) if kept}
        self._torch.load_state_dict({**self._torch.state_dict(), "state": numbered})


def check_optimizer(section: TuneSection) -> None:
    """Raise :class:`TrainingError` if torch has no such optimizer, or cannot make a step with its options.

    The step is made on small weights of the shapes that the method trains.
    """
    weights = {name: nn.Parameter(torch.zeros(shape)) for name, shape in _shapes(section.method).items()}
    try:
        trial = Optimizer(weights, section.optimizer)
        for weight in weights.values():
            weight.grad = torch.ones_like(weight)
        trial.step(section.optimizer.lr)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        name = getattr(section.optimizer, "name", section.optimizer.kind)
        raise TrainingError(f"{name} refuses: {error}", where=WHERE, remedy="change its options") from error


def _shapes(method: Method) -> dict[str, tuple[int, ...]]:
    """One small weight of each kind that a method trains."""
    match method:
        case LoraMethod() | QloraMethod():
            return {"matrix": (2, 2)}
        case Ia3Method():
            return {f"{FACTORS}of outputs": (2, 1), f"{FACTORS}of inputs": (1, 2)}
        case PromptMethod() | PrefixMethod(projection=None):
            return {"matrix": (2, 2)}
        case _:
            return {"matrix": (2, 2), "vector": (2,)}


def _decays(name: str, weight: Tensor) -> bool:
    """Matrices do; not IA³'s factors, which PEFT keeps as matrices of one row or column: they begin at 1, not at 0."""
    return weight.ndim > 1 and FACTORS not in name


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
    """What decays, and what never does; None: an optimizer that knows no decay."""
    if weight_decay is None:
        return [{"params": list(masters.values())}]
    matrices = [master for name, master in masters.items() if _decays(name, master)]
    others = [master for name, master in masters.items() if not _decays(name, master)]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _by_name(masters: Mapping[str, nn.Parameter], section: TorchOptimizer) -> torch.optim.Optimizer:
    """Any optimizer that moves dense weights by one gradient a step."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        name: kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
    }
    if section.name in UNSUITABLE:
        what = f"{section.name} does not fit here: it {UNSUITABLE[section.name]}"
        raise TrainingError(what, where=WHERE, remedy="choose another")
    if section.name not in kinds:
        alike = {name.lower(): name for name in kinds if name not in UNSUITABLE}
        near = difflib.get_close_matches(section.name.lower(), alike, n=1, cutoff=0.4)
        remedy = f"did you mean {alike[near[0]]}?" if near else f"choose among {', '.join(sorted(alike.values()))}"
        raise TrainingError("torch.optim has no such optimizer", where=WHERE, received=section.name, remedy=remedy)
    options: dict[str, Any] = dict(section.options)
    known = inspect.signature(kinds[section.name]).parameters
    decay = options.pop("weight_decay", known["weight_decay"].default) if "weight_decay" in known else None
    if decay is not None and not (isinstance(decay, int | float) and decay >= 0):
        raise TrainingError("weight_decay is no number of 0 or more", where=WHERE, received=repr(decay))
    try:
        return kinds[section.name](_groups(masters, decay), lr=section.lr, **options)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        remedy = f"it takes {', '.join(sorted(set(known) - {'params', 'lr'}))}"
        raise TrainingError(f"{section.name} refuses: {error}", where=WHERE, remedy=remedy) from error
