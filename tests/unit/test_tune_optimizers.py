"""AdamW on master weights, against torch's own in float32."""

import pytest
import torch
from pydantic import JsonValue, ValidationError
from torch import Tensor, nn

from tutelage.errors import TrainingError
from tutelage.recipe.tune import AdafactorOptimizer, AdamWOptimizer, FullMethod, TorchOptimizer, TuneSection
from tutelage.recipe.tune import Optimizer as Section
from tutelage.tune.training.optimizers import Optimizer, check_optimizer

SECTION = AdamWOptimizer(kind="adamw", lr=1e-2, weight_decay=0.1)


def weights(dtype: torch.dtype) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    # The bias comes first: the order of names must survive the sorting by what decays.
    shapes = {"layer.bias": (5,), "layer.weight": (5, 3), "other.weight": (2, 2)}
    drawn = {name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()}
    return {name: nn.Parameter(value.to(dtype)) for name, value in drawn.items()}


def gradients(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return {name: torch.randn(w.shape, generator=generator).bfloat16() for name, w in weights(torch.float32).items()}


def feed(optimizer: Optimizer, step: int) -> None:
    for name, gradient in gradients(step).items():
        optimizer.parameters[name].grad = gradient.to(optimizer.parameters[name].dtype)
    optimizer.collect()


def reference(steps: int) -> dict[str, Tensor]:
    plain = weights(torch.float32)
    groups = [
        {"params": [plain["layer.weight"], plain["other.weight"]], "weight_decay": 0.1},
        {"params": [plain["layer.bias"]], "weight_decay": 0.0},
    ]
    peer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.999))
    for step in range(steps):
        for name, gradient in gradients(step).items():
            plain[name].grad = gradient.float()
        torch.nn.utils.clip_grad_norm_(plain.values(), 1.0)
        peer.step()
    return {name: weight.detach() for name, weight in plain.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masters_move_as_in_float32(dtype: torch.dtype) -> None:
    optimizer = Optimizer(weights(dtype), SECTION)
    for step in range(5):
        feed(optimizer, step)
        optimizer.clip(1.0)
        optimizer.step(1e-2)
    for name, expected in reference(5).items():
        torch.testing.assert_close(optimizer.masters[name].detach(), expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(optimizer.parameters[name].detach(), optimizer.masters[name].detach().to(dtype))


def test_small_updates_of_bfloat16_weights_add_up() -> None:
    weight = nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    optimizer = Optimizer({"w": weight}, AdamWOptimizer(kind="adamw", lr=1e-4))
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.collect()
        optimizer.step(1e-4)
    # One update is 1e-4; the next bfloat16 below 1 is 1 - 1/256, so without a master nothing would ever move.
    assert optimizer.masters["w"][0, 0].item() == pytest.approx(0.99, abs=1e-4)
    assert weight[0, 0].item() == pytest.approx(0.99, abs=1 / 256)


def test_norm_is_that_before_clipping() -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = Optimizer({"w": weight}, SECTION)
    weight.grad = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert optimizer.clip(0.0) == pytest.approx(5.0)
    assert weight.grad.norm().item() == pytest.approx(5.0)
    assert optimizer.clip(1.0) == pytest.approx(5.0)
    assert weight.grad.norm().item() == pytest.approx(1.0, abs=1e-5)


SECTIONS = [
    SECTION,
    AdafactorOptimizer(kind="adafactor", lr=1e-2, weight_decay=0.1),
    TorchOptimizer(kind="torch", name="SGD", lr=1e-2),
    TorchOptimizer(kind="torch", name="SGD", lr=1e-2, options={"momentum": 0.9, "weight_decay": 0.1}),
    TorchOptimizer(kind="torch", name="NAdam", lr=1e-2),
    TorchOptimizer(kind="torch", name="ASGD", lr=1e-2),
]


def test_others_of_torch_are_theirs() -> None:
    optimizer = Optimizer(weights(torch.float32), SECTIONS[3])
    plain = weights(torch.float32)
    groups = [
        {"params": [plain["layer.weight"], plain["other.weight"]], "weight_decay": 0.1},
        {"params": [plain["layer.bias"]], "weight_decay": 0.0},
    ]
    peer = torch.optim.SGD(groups, lr=1e-2, momentum=0.9)
    for step in range(3):
        feed(optimizer, step)
        optimizer.step(1e-2)
        for name, gradient in gradients(step).items():
            plain[name].grad = gradient.float()
        peer.step()
    for name, expected in plain.items():
        torch.testing.assert_close(optimizer.masters[name].detach(), expected.detach())


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("SDG", {}, "Did you mean SGD"),
        ("sgd", {}, "Did you mean SGD"),
        ("LBFGS", {}, "several times a step"),
        ("Rprop", {}, "whatever the learning rate"),
        ("SGD", {"weight_decay": "much"}, "weight_decay is no number"),
        ("SGD", {"weight_decay": -1}, "weight_decay is no number"),
        ("SGD", {"differentiable": True}, "SGD refuses"),
        ("AdamW", {"betas": [0.9]}, "AdamW refuses"),
        ("AdamW", {"foreach": True, "fused": True}, "AdamW refuses"),
        ("SGD", {"momentun": 0.9}, "It takes .*momentum"),
        ("SGD", {"momentum": -1.0}, "SGD refuses: Invalid momentum"),
        ("Muon", {}, "Muon refuses"),
    ],
)
def test_what_torch_does_not_take_is_refused_in_words(name: str, options: dict[str, JsonValue], said: str) -> None:
    optimizer = TorchOptimizer(kind="torch", name=name, options=options)
    with pytest.raises(TrainingError, match=said):
        check_optimizer(TuneSection(method=FullMethod(kind="full"), optimizer=optimizer))


def test_what_torch_takes_passes() -> None:
    for section in SECTIONS:
        check_optimizer(TuneSection(method=FullMethod(kind="full"), optimizer=section))
    muon = TorchOptimizer(kind="torch", name="Muon", options={"eps": "1e-7"})
    assert muon.options == {"eps": 1e-7}
    check_optimizer(TuneSection(optimizer=muon))  # adapters are matrices


def test_adapters_would_not_move_under_adafactor() -> None:
    with pytest.raises(ValidationError, match="adapters begin at zero"):
        TuneSection(optimizer=AdafactorOptimizer(kind="adafactor"))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: getattr(section, "name", section.kind))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_restored_optimizer_goes_on_exactly(dtype: torch.dtype, section: Section) -> None:
    whole = Optimizer(weights(dtype), section)
    for step in range(3):
        feed(whole, step)
        whole.step(1e-2)
    state = {name: tensor.clone() for name, tensor in whole.state().items()}
    resumed = Optimizer(weights(dtype), section)
    resumed.restore(state)
    for optimizer in (whole, resumed):
        for step in range(3, 6):
            feed(optimizer, step)
            optimizer.step(1e-2)
    for name in whole.parameters:
        assert torch.equal(whole.masters[name], resumed.masters[name])
        assert torch.equal(whole.parameters[name], resumed.parameters[name])
