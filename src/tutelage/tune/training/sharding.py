"""One model spread over processes: each holds its share of every weight, gradient, float32 copy and moment (FSDP2).

Zhao et al. 2023 ("PyTorch FSDP") after Rajbhandari et al. 2020 (ZeRO, stage 3), as torch has it in ``fully_shard``: the
rows of every weight are dealt out; those of a decoder layer come together while it computes, on the way there and on
the way back, those of all that stands beside the layers while a micro-batch lasts. Gradients are summed over the
processes when they are dealt out again, in float32. The share of a trained weight is float32 and is its own master; it
is rounded to the arithmetic of the model on its way to the others.

Every process makes the same passes in the same order, so none can make one again with fewer tokens. Deviation from the
usual: gradients are sums, not means over processes (:mod:`processes` says why). The model lies whole in every process
until it is cut, and in the main process again at the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.tune import Optimizer as Section
from tutelage.recipe.tune import TuneSection
from tutelage.tune.methods import Tuned
from tutelage.tune.methods.last import decoder_of
from tutelage.tune.training.batches import Packed
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.processes import Processes, digest_of, torn_in_words

WHERE = "tune.sharding"
NEEDED = ("set_gradient_divide_factor", "set_force_sum_reduction_for_comms")
"""What torch's sharded modules must have: older ones give means of gradients only."""
PASS = "hidden_states_of_packed_rows"
"""The name under which torch knows the pass that is made."""
PROBE_TOKENS = 8


class ShardedOptimizer(Optimizer):
    """An optimizer of this process's share of each weight; what it does with a number is what it would do in a whole.

    Parameters
    ----------
    model: the sharded model. weights: its trained weights by name.
    """

    def __init__(
        self, model: FSDPModule, weights: Mapping[str, DTensor], section: Section, processes: Processes
    ) -> None:
        self._model, self._weights, self._processes = model, dict(weights), processes
        super().__init__({name: nn.Parameter(_local(weight)) for name, weight in weights.items()}, section)

    def collect(self) -> None:
        """Add the share of the gradient of one micro-batch, summed over the processes already."""
        for name, weight in self._weights.items():
            if weight.grad is None:
                continue
            found, master = _local(weight.grad), self.masters[name]
            master.grad = found if master.grad is None else master.grad.add_(found)
            weight.grad = None

    def add_up(self, processes: Processes) -> None:
        """Nothing is left to be added: gradients are summed where they are dealt out."""

    def discard(self) -> None:
        """Forget what has been collected."""
        super().discard()
        for weight in self._weights.values():
            weight.grad = None

    def norm(self) -> Tensor:
        """Return the norm of the whole gradient: the root of the sum of all shares' squares."""
        total = super().norm().square()
        self._processes.add_up([total])
        return total.sqrt()

    def require_same(self, processes: Processes) -> None:
        """There is nothing to compare: every number has one owner, so no two processes can disagree on it."""

    def step(self, lr: float) -> None:
        """Move the own share at learning rate ``lr``, and drop what is gathered of weights as they were."""
        super().step(lr)
        self._model.reshard()

    def state(self) -> dict[str, Tensor]:
        """Return whole masters and moments in the main process, on its CPU; in the others nothing."""
        whole: dict[str, Tensor] = {}
        for label, part in super().state().items():
            weight = self._weights[label.rsplit("/", 1)[0]]
            found = _gathered(part, weight) if part.ndim else part
            if self._processes.is_main:
                whole[label] = found.cpu()
        return whole

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over this process's share of what one process alone or several left."""
        self._processes.require_same(lambda: digest_of(state.values()), "checkpoint")
        rank, count = self._processes.rank, self._processes.count
        super().restore({label: _share(value, rank, count) if value.ndim else value for label, value in state.items()})
        self._model.reshard()

    def forget(self) -> None:
        """Give back the memory of moments and gradients; no step comes after."""
        self.discard()
        self._torch.state.clear()


def require_shardable(bundle: Bundle, section: TuneSection, processes: Processes) -> None:
    """Raise :class:`TrainingError` where the bundle's model shall be sharded over ``processes`` and cannot be."""
    if section.sharding == "none" or processes.count == 1:
        return
    if missing := [name for name in NEEDED if not hasattr(FSDPModule, name)]:
        received = f"torch {torch.__version__}, without {missing[0]}"
        raise TrainingError("this torch cannot sum gradients", where=WHERE, received=received, remedy="install a newer")
    model = bundle.model
    weights = dict(model.named_parameters())
    dtypes = {str(weight.dtype).removeprefix("torch.") for weight in weights.values()}
    single = next((name for name, weight in weights.items() if not weight.ndim), "")
    faults = {
        "its decoder layers are not found": decoder_of(model) is None,
        f"its weights are {', '.join(sorted(dtypes))}": len(dtypes) > 1,
        f"{single} is a single number": bool(single),
        "rows of new tokens lie beside its weights": bool(bundle.new_tokens) and section.method.kind != "full",
    }
    for fault, is_so in faults.items():
        if is_so:
            received, remedy = f"{type(model).__name__}: {fault}", "leave out tune.sharding"
            raise TrainingError("this model cannot be sharded", where=WHERE, received=received, remedy=remedy)


@contextmanager
def moving(
    tuned: Tuned,
    network: Network,
    section: TuneSection,
    state: Mapping[str, Tensor] | None = None,
    *,
    processes: Processes,
) -> Iterator[tuple[Network, Optimizer]]:
    """Give what computes and what moves the weights, from the ``state`` that a checkpoint brought: as they are, or
    sharded if the section says so and there are several processes.

    A sharded model is used up: after the block the main process has it whole, with the weights of the end, and the
    others have none; after an error all have none.

    Raises
    ------
    TrainingError: the processes have not the same weights, what the sharded model computes is not what the whole one
        computes, or another process has ended.
    """
    processes.require_same(lambda: digest_of(tuned.model.parameters()), "weights")
    if section.sharding == "none" or processes.count == 1:
        whole = _begun(Optimizer(tuned.parameters, section.optimizer), state, processes)
        state = None
        yield network, whole
        return
    model = tuned.model.train(False)
    names = list(tuned.parameters)
    before = _hidden(network)
    put_back = _modules_of(model)
    originals = {name: (weight, weight.dtype) for name, weight in model.named_parameters()}
    try:
        with torn_in_words():
            _cut(tuned, init_device_mesh(network.device.type, (processes.count,)))
            together = replace(network, hidden=_pass_of(model, network), sharded=True)
            _require_same_states(before, _hidden(together))
            model.reshard()
            shards = dict(model.named_parameters())
            optimizer = ShardedOptimizer(model, {name: shards[name] for name in names}, section.optimizer, processes)
            _begun(optimizer, state, processes)
            state = None
            yield together, optimizer
            model.train(False)
            after = _hidden(together)
            model.reshard()
            optimizer.forget()
            for name, (original, dtype) in originals.items():
                gathered = shards.pop(name).full_tensor()
                if processes.is_main:
                    original.data = gathered.to(dtype)
    finally:
        put_back()
    if processes.is_main:
        _require_same_states(after, _hidden(network))


def _begun(optimizer: Optimizer, state: Mapping[str, Tensor] | None, processes: Processes) -> Optimizer:
    if state is not None:
        optimizer.restore(state)
    optimizer.require_same(processes)
    return optimizer


def _cut(tuned: Tuned, mesh: DeviceMesh) -> None:
    """Spread the weights of a model over the processes of ``mesh``, layer by layer, and free the whole ones."""
    found = decoder_of(tuned.model)
    assert found is not None, "it was looked for before"
    for module in (*found[1], tuned.model):
        whole = [weight for weight in module.parameters() if not isinstance(weight, DTensor)]
        policy = MixedPrecisionPolicy(_arithmetic(whole), torch.float32, cast_forward_inputs=False)
        for weight in whole:
            if weight.requires_grad:
                weight.data = weight.data.float()
        sharded = fully_shard(module, mesh=mesh, mp_policy=policy)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
        for weight in whole:
            weight.data = weight.data.new_empty(0)


def _arithmetic(weights: Sequence[Tensor]) -> torch.dtype | None:
    """What the float32 shares of the trained ones of ``weights`` are rounded to where they come together; None: they
    stay as they are."""
    trained = {weight.dtype for weight in weights if weight.requires_grad}
    others = {weight.dtype for weight in weights if weight.is_floating_point()} - trained
    if trained <= {torch.float32}:
        return None
    if len(trained) > 1 or others:  # torch would round all of them to the same
        found = sorted(str(dtype).removeprefix("torch.") for dtype in trained | others)
        raise TrainingError(
            "this model cannot be sharded",
            where=WHERE,
            received=f"weights of {' and '.join(found)} in one layer",
            remedy="set tune.dtype to float32, or leave out tune.sharding",
        )
    return next(iter(trained))


def _modules_of(model: nn.Module) -> Callable[[], None]:
    """Return what makes the modules of ``model`` what they are now: their class, hooks and weights."""
    dealt = vars(nn.Module())  # what every module keeps in dictionaries: weights, hooks, children
    kept = [
        (module, type(module), {name: copy(value) if name in dealt else value for name, value in vars(module).items()})
        for module in model.modules()
    ]

    def put_back() -> None:
        for module, kind, state in kept:
            module.__class__ = kind
            vars(module).clear()
            vars(module).update(state)

    return put_back


def _pass_of(model: nn.Module, network: Network) -> Callable[..., Tensor]:
    """The pass of ``network`` through the sharded model: what stands beside its layers is gathered for it, and stays so
    until the way back has ended."""

    def hidden(packed: Packed, noise: Tensor | None = None) -> Tensor:
        return network.hidden(packed, noise).clone()  # torch hangs its way back on it, which a view would lose

    setattr(model, PASS, hidden)
    register_fsdp_forward_method(model, PASS)
    found: Callable[..., Tensor] = getattr(model, PASS)
    return found


@torch.no_grad()
def _hidden(network: Network) -> Tensor:
    """Hidden states of a short text, by which two states of a model are compared."""
    ids = np.arange(PROBE_TOKENS, dtype=np.int32)
    return network.hidden(network.pack([Encoded(ids, np.ones(PROBE_TOKENS, dtype=np.bool_))])).float()


def _require_same_states(expected: Tensor, found: Tensor) -> None:
    difference = (expected - found).abs().max().item()
    if not difference <= 1e-5 * expected.abs().max().item():
        raise TrainingError(
            "the sharded model does not compute what the whole one computes",
            where=WHERE,
            received=f"hidden states that differ by {difference:.2g}",
            remedy="leave out tune.sharding, and report this with the recipe",
        )


def _local(weight: Tensor) -> Tensor:
    """This process's share of a sharded tensor: the memory itself, not a copy."""
    assert isinstance(weight, DTensor)
    return weight.to_local().detach()


def _gathered(part: Tensor, weight: DTensor) -> Tensor:
    """The whole of which each process has a ``part``, shared out as ``weight`` is."""
    spread = DTensor.from_local(
        part, weight.device_mesh, weight.placements, run_check=False, shape=weight.shape, stride=weight.stride()
    )
    return spread.full_tensor()


def _share(whole: Tensor, rank: int, count: int) -> Tensor:
    """The rows of process ``rank`` of ``count``: as torch deals them out, the last ones may get fewer or none."""
    parts: Sequence[Tensor] = torch.chunk(whole, count)
    return parts[rank] if rank < len(parts) else whole[:0]
