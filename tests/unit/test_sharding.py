"""Shares of a model: what can be cut, what moves a share as the whole, and passes that add nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.models.rewards import with_reward_head
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.methods import FullMethod, LoraMethod
from tutelage.recipe.objectives import RewardObjective
from tutelage.recipe.tune import ELEMENTWISE, AdamWOptimizer, TorchOptimizer, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import train
from tutelage.tune.methods import Tuned, build_method
from tutelage.tune.objectives import Sft
from tutelage.tune.reference import logprobs_of
from tutelage.tune.room import memory_words
from tutelage.tune.training import sharding
from tutelage.tune.training.attention import connect
from tutelage.tune.training.checkpoint import fingerprint_of
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.processes import ALONE, Processes, Value, torn_in_words
from tutelage.tune.training.sharding import moving, require_shardable
from tutelage.tune.training.step import Batch, accumulate

SHARDED = TuneSection(sharding="full")
GRPO = {"objective": {"kind": "grpo"}}
ON_POLICY = {"objective": {"kind": "kd", "teacher": "tiny", "on_policy": 0.5}}


class Second(Processes):
    """The second of two, which hears nothing of the first."""

    def __init__(self) -> None:
        super().__init__(1, 2)

    def gather(self, value: Value) -> list[Value]:
        return [value]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Leave them."""


def encoded(bundle: Bundle, *answers: str) -> list[Encoded]:
    return [bundle.template.encode((user("Where is it?"), assistant(answer))) for answer in answers]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"optimizer": {"kind": "adafactor"}, "method": {"kind": "full"}},
            "adafactor moves a weight by means over all",
        ),
        ({"optimizer": {"kind": "torch", "name": "Muon"}}, "not known that Muon moves every number by itself"),
        ({"method": {"kind": "qlora"}}, "the weights of qlora are packed 4-bit numbers"),
        ({"method": {"kind": "prefix"}}, "what prefix learns is in no layer"),
        ({"method": {"kind": "prompt"}}, "what prompt learns is in no layer"),
        ({"method": {"kind": "lora", "init": "pissa"}}, r"\(pissa\) stand beside the model; take init: default"),
        (GRPO, "grpo samples the model's own answers"),
        (ON_POLICY, "kd samples the model's own answers"),
        ({"sharding": "hybrid"}, "Input should be 'none' or 'full'"),
    ],
)
def test_what_cannot_be_sharded_is_refused_by_name(wrong: dict[str, Any], said: str) -> None:
    TuneSection.model_validate({key: value for key, value in wrong.items() if key != "sharding"})
    with pytest.raises(ValidationError, match=said):
        TuneSection.model_validate({"sharding": "full", **wrong})


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_optimizers_move_a_share_as_the_whole(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    section = TorchOptimizer(kind="torch", name=name, lr=0.05, options={"weight_decay": 0.01})
    start = torch.randn(5, 4, generator=generator)
    whole = Optimizer({"weight": nn.Parameter(start.clone())}, section)
    shares = [Optimizer({"weight": nn.Parameter(part.clone())}, section) for part in torch.chunk(start, 2)]
    for _ in range(4):
        gradient = torch.randn(5, 4, generator=generator)
        whole.masters["weight"].grad = gradient
        for share, part in zip(shares, torch.chunk(gradient, 2), strict=True):
            share.masters["weight"].grad = part.clone()
        for optimizer in (whole, *shares):
            optimizer.step(0.05)
    found = torch.cat([share.masters["weight"] for share in shares])
    assert (whole.masters["weight"] - start).abs().max() > 1e-4
    torch.testing.assert_close(found, whole.masters["weight"].detach(), rtol=0, atol=1e-7)


def _mixed(bundle: Bundle) -> None:
    bundle.model.model.norm.bfloat16()


def _single(bundle: Bundle) -> None:
    bundle.model.model.register_parameter("scale", nn.Parameter(torch.tensor(1.0)))


def _deeper(bundle: Bundle) -> None:
    bundle.model.config.num_hidden_layers = 7


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_mixed, "its weights are bfloat16, float32"),
        (_single, r"model\.scale is a single number"),
        (_deeper, "its decoder layers are not found"),
    ],
)
def test_models_that_cannot_be_sharded_are_refused_before_anything_is_written(
    change: Callable[[Bundle], None], said: str, tmp_path: Path
) -> None:
    bundle = tiny_model()
    rows = encoded(bundle, "Here.")
    require_shardable(bundle, SHARDED, Processes(0, 2))
    change(bundle)
    require_shardable(bundle, SHARDED, ALONE)
    require_shardable(bundle, TuneSection(), Processes(0, 2))
    with pytest.raises(TrainingError, match=said):
        next(train(bundle, rows, SHARDED, folder=tmp_path / "out", seed=0, processes=Processes(0, 2)))
    assert not (tmp_path / "out").exists()


def test_a_torch_that_cannot_sum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "NEEDED", ("set_what_is_not_there",))
    with pytest.raises(TrainingError, match="this torch cannot sum gradients"):
        require_shardable(tiny_model(), SHARDED, Processes(0, 2))


def test_one_process_alone_holds_all_and_the_run_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_model()
    rows = encoded(bundle, "Here.")
    prints = {fingerprint_of(bundle.model, rows, section, seed=0) for section in (SHARDED, TuneSection())}
    assert len(prints) == 1
    assert "processes" not in memory_words(bundle, rows, SHARDED)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert "(a share: 2 processes hold it together)" in memory_words(bundle, rows, SHARDED)
    assert "processes" not in memory_words(bundle, rows, TuneSection())
    tuned = build_method(SHARDED.method)(bundle, 0)
    with connect(tuned.model) as network, moving(tuned, network, SHARDED, processes=ALONE) as (same, optimizer):
        assert same is network
        assert type(optimizer) is Optimizer


def _supervised(method: FullMethod | LoraMethod) -> tuple[Bundle, Tuned]:
    bundle = tiny_model()
    return bundle, build_method(method)(bundle, 0)


@pytest.mark.parametrize("method", [FullMethod(kind="full"), LoraMethod(kind="lora")])
def test_empty_passes_add_nothing_and_reach_every_weight(method: FullMethod | LoraMethod) -> None:
    """A process without rows gives each weight that a row would reach a gradient, of exactly 0."""
    bundle, tuned = _supervised(method)
    rows = encoded(bundle, "Here.")
    section = AdamWOptimizer(kind="adamw")
    batch = Batch(1, Sft(), [0], rows)
    with connect(tuned.model) as network:
        real, empty = (Optimizer(tuned.parameters, section) for _ in range(2))
        accumulate(network, [batch], optimizer=real, limit=64, seed=0)
        reached = {name for name, master in real.masters.items() if master.grad is not None}
        real.discard()
        together = replace(network, sharded=True)
        done = accumulate(together, [batch], optimizer=empty, limit=64, seed=0, processes=Second())
        found = {name: master.grad for name, master in empty.masters.items() if master.grad is not None}
    assert found.keys() == reached
    assert len(reached) == len(tuned.parameters)
    assert all(not gradient.any() for gradient in found.values())
    assert (done.batches[0].loss, done.micro_batches) == (0.0, 0)


def test_empty_passes_of_a_reward_model_add_nothing() -> None:
    bundle = with_reward_head(tiny_model(), seed=0)
    tuned = build_method(FullMethod(kind="full"))(bundle, 0)
    optimizer = Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))
    batch = Batch(1, Sft(), [0], encoded(bundle, "Here."))
    with connect(tuned.model) as network:
        accumulate(replace(network, sharded=True), [batch], optimizer=optimizer, limit=64, seed=0, processes=Second())
    gradients = [master.grad for master in optimizer.masters.values()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)
    assert TuneSection(objective=RewardObjective(kind="reward"), sharding="full").sharding == "full"


def test_a_lack_of_memory_ends_a_sharded_training_with_a_remedy() -> None:
    """Halving would leave the other processes waiting for passes that nobody makes with them."""
    bundle, tuned = _supervised(LoraMethod(kind="lora"))
    rows = encoded(bundle, "Here.", "There.")
    optimizer = Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))

    def refuse(*_: object) -> Tensor:
        raise MemoryError

    with connect(tuned.model) as network:
        full = replace(network, hidden=refuse, sharded=True)
        with pytest.raises(TrainingError, match=r"Lower tune\.micro_batch_tokens"):
            accumulate(full, [Batch(1, Sft(), [0, 1], rows)], optimizer=optimizer, limit=100, seed=0)
        with pytest.raises(TrainingError, match="sharded processes cannot go on with less at once"):
            list(logprobs_of(rows, full, 100))


def test_states_that_differ_are_not_trained_on() -> None:
    sharding._require_same_states(torch.ones(3), torch.ones(3) + 1e-6)
    for other in (torch.ones(3) + 1e-4, torch.full((3,), torch.nan)):
        with pytest.raises(TrainingError, match="does not compute what the whole one computes"):
            sharding._require_same_states(torch.ones(3), other)


def test_weights_are_gathered_in_their_own_arithmetic() -> None:
    half, wide = (nn.Parameter(torch.ones(2, dtype=dtype)) for dtype in (torch.bfloat16, torch.float32))
    frozen, frozen_wide = half.detach(), wide.detach()
    assert sharding._arithmetic([half, frozen]) == torch.bfloat16
    assert sharding._arithmetic([wide, frozen]) is sharding._arithmetic([frozen, frozen_wide]) is None
    for mixed in ([half, wide], [half, frozen_wide]):
        with pytest.raises(TrainingError, match="weights of bfloat16 and float32 in one layer"):
            sharding._arithmetic(mixed)


def test_only_torn_connections_are_said_to_be_torn() -> None:
    with pytest.raises(TrainingError, match="another process has ended"), torn_in_words():
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(RuntimeError, match="size mismatch"), torn_in_words():
        raise RuntimeError("size mismatch")
