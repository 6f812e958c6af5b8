"""The shortened LoRA layer computes what PEFT's does, values and gradients, and steps aside where it does not fit."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear
from torch import Tensor, nn

from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import LoraMethod
from tutelage.tune.methods.lora import add_lora, shorten
from tutelage.tune.training.adapted import Parts, adapted_linear


class Two(nn.Module):
    """Two layers, one with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 20), nn.Linear(20, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


def adapted(seed: int = 0, **settings: Any) -> nn.Module:
    torch.manual_seed(seed)
    model = Two()
    inject_adapter_in_model(
        LoraConfig(r=3, lora_alpha=5, target_modules=["first", "second"], init_lora_weights=False, **settings), model
    )
    return model.double()


def everything(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, gradients of the adapters, gradient of the input."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    output = model(x)
    return [output, *torch.autograd.grad(output.square().sum(), [*trained, x])]


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=0, max_size=3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_equals_peft(seed: int, shape: list[int], rslora: bool) -> None:
    model = adapted(seed, use_rslora=rslora)
    x = torch.randn(*shape, 12, dtype=torch.float64, requires_grad=True)
    expected = everything(model, x)
    assert shorten(model) == 2
    for ours, theirs in zip(everything(model, x), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_differences() -> None:
    x, a, b = (torch.randn(n, m, dtype=torch.float64, requires_grad=True) for n, m in ((4, 7), (3, 7), (9, 3)))
    weight, bias = torch.randn(9, 7, dtype=torch.float64), torch.randn(9, dtype=torch.float64)
    for beside in (bias, None):
        assert torch.autograd.gradcheck(
            lambda *free, beside=beside: adapted_linear(free[0], Parts(weight, beside, *free[1:], 0.7)), (x, a, b)
        )


def test_weights_that_train_get_their_gradients_too() -> None:
    x, weight, bias, a, b = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 7), (9, 7), (9,), (3, 7), (9, 3))
    )
    assert torch.autograd.gradcheck(
        lambda *all_: adapted_linear(all_[0], Parts(*all_[1:], 0.7)), (x, weight, bias, a, b)
    )
    assert torch.autograd.gradcheck(lambda *all_: adapted_linear(all_[0], Parts(*all_[1:])), (x, weight, bias))


def test_settled_it_computes_as_peft_does_again() -> None:
    bundle = tiny_model()
    tuned = add_lora(bundle, LoraMethod(kind="lora", r=2), seed=0)
    layers = [module for module in tuned.model.modules() if isinstance(module, Linear)]
    assert all("forward" in vars(layer) for layer in layers)
    tuned.settle()
    assert layers
    assert not any("forward" in vars(layer) for layer in layers)


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.5}, {"use_dora": True}])
def test_another_kind_of_adapter_is_left_to_peft(settings: dict[str, Any]) -> None:
    assert shorten(adapted(**settings)) == 0


def test_adapters_of_another_arithmetic_are_left_to_peft() -> None:
    model = adapted()
    model.first.base_layer.to(torch.bfloat16)
    assert shorten(model) == 1


def test_switched_off_and_merged_it_computes_as_peft_does() -> None:
    model = adapted()
    x = torch.randn(3, 12, dtype=torch.float64)
    whole = model(x)
    layers = [module for module in model.modules() if isinstance(module, Linear)]
    for layer in layers:
        layer.enable_adapters(False)
    plain = model(x)
    shorten(model)
    torch.testing.assert_close(model(x), plain, rtol=0, atol=0)
    for layer in layers:
        layer.enable_adapters(True)
        layer.merge()
    torch.testing.assert_close(model(x), whole)
