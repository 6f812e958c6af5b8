"""Trained rows of new tokens: our way computes what PEFT's does, values and gradients, without a copy of all rows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft.utils.other import TrainableTokensWrapper
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding, linear
from torch.utils._python_dispatch import TorchDispatchMode

from support.new_tokens import base_folder, chats, grown
from tutelage.recipe.methods import LoraMethod
from tutelage.tune.methods.lora import LoraTuned, add_lora
from tutelage.tune.methods.new_rows import settle_rows, shorten_rows
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import pack
from tutelage.tune.training.losses import CrossEntropies, position_losses
from tutelage.tune.training.new_rows import KnownRows, Rows

LORA = LoraMethod(kind="lora", r=4, alpha=8)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@given(st.integers(0, 1000), st.integers(2, 9), st.data())
@settings(max_examples=30)
def test_rows_take_the_place_of_the_frozen_ones(seed: int, size: int, data: st.DataObject) -> None:
    torch.manual_seed(seed)
    new = torch.tensor(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True)))
    ids = torch.tensor(data.draw(st.lists(st.integers(0, size - 1), max_size=12)), dtype=torch.long)
    weight, rows, states = drawn(size, 3).detach(), drawn(len(new), 3), drawn(4, 3)
    ours = Rows(weight, new, rows)
    whole = weight.index_copy(0, new, rows)
    for found, expected in ((ours.look_up(ids), embedding(ids, whole)), (ours.predict(states), linear(states, whole))):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
        above = torch.randn_like(found)
        for a, b in zip(_gradients(found, above, rows, states), _gradients(expected, above, rows, states), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def _gradients(found: Tensor, above: Tensor, *leaves: Tensor) -> list[Tensor]:
    each = torch.autograd.grad(found, leaves, above, allow_unused=True, retain_graph=True)
    return [torch.zeros(()) if one is None else one for one in each]


def test_gradients_are_those_of_differences() -> None:
    weight, new = drawn(6, 3).detach(), torch.tensor([4, 1])
    ids = torch.tensor([1, 0, 4, 4, 5])
    assert torch.autograd.gradcheck(lambda rows: Rows(weight, new, rows).look_up(ids), (drawn(2, 3),))
    assert torch.autograd.gradcheck(lambda x, rows: Rows(weight, new, rows).predict(x), (drawn(5, 3), drawn(2, 3)))


@given(st.integers(0, 1000), st.floats(0, 0.5))
@settings(max_examples=20)
def test_losses_in_chunks_are_those_of_full_logits(seed: int, smoothing: float) -> None:
    torch.manual_seed(seed)
    head = nn.Linear(5, 11, bias=False)
    head.requires_grad_(False)
    new, rows, states = torch.tensor([10, 3]), torch.randn(2, 5, requires_grad=True), torch.randn(9, 5)
    states.requires_grad_()
    targets = torch.randint(0, 11, (9,))
    weights = torch.rand(9)  # every position's loss counts otherwise
    head.forward = KnownRows(head, lambda: Rows(head.weight, new, rows), looks_up=False)  # type: ignore[method-assign]
    found = position_losses(states, CrossEntropies(targets, smoothing), head=head)
    whole = linear(states, head.weight.index_copy(0, new, rows))
    expected = cross_entropy(whole, targets, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad((weights * found).sum(), [states, rows])
    theirs = torch.autograd.grad((weights * expected).sum(), [states, rows])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def stirred(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[LoraTuned, list[Any]]:
    """A model with an adapter all of whose weights have moved, and rows."""
    bundle = grown(folder)
    bundle.model.to(dtype)
    tuned = add_lora(bundle, LORA, seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return tuned, chats(bundle, 6)


@pytest.mark.parametrize(("tied", "anew"), [(True, False), (False, False), (True, True)])
def test_a_packed_step_is_that_of_peft_one_by_one(tmp_path: Path, tied: bool, anew: bool) -> None:
    tuned, rows = stirred(base_folder(tmp_path / "base", tied=tied))
    names = list(tuned.parameters)
    assert sum("trainable_tokens_delta" in name for name in names) == (1 if tied else 2)
    with connect(tuned.model, anew=anew) as network:
        assert network.reads == "chunked"
        predictions = network.predict(pack(rows, network.device))
        loss = predictions.token_losses().sum()
        found = torch.autograd.grad(loss, list(tuned.parameters.values()))
        logits = torch.cat([network.logits(pack([row], network.device)) for row in rows])
    tuned.settle()
    wrapped = [module for module in tuned.model.modules() if isinstance(module, TrainableTokensWrapper)]
    assert len(wrapped) == 2
    assert not any("forward" in vars(module) for module in wrapped)
    plain, plain_logits = torch.zeros(()), []
    for row in rows:
        ids = torch.as_tensor(row.ids, dtype=torch.int64)
        at = torch.as_tensor(row.targets[1:])
        plain_logits.append(tuned.model(input_ids=ids[None]).logits[0, :-1][at])
        plain = plain + cross_entropy(plain_logits[-1], ids[1:][at], reduction="sum")
    expected = torch.autograd.grad(plain, list(tuned.parameters.values()))
    torch.testing.assert_close(loss, plain, rtol=1e-6, atol=0)
    torch.testing.assert_close(logits, torch.cat(plain_logits), rtol=0, atol=1e-5)
    for name, a, b in zip(names, found, expected, strict=True):
        assert b.abs().max() > 0, f"{name}: nothing is learned"
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item(), msg=name)


@pytest.mark.parametrize("tied", [True, False])
def test_in_bfloat16_both_ways_differ_by_rounding(tmp_path: Path, tied: bool) -> None:
    tuned, rows = stirred(base_folder(tmp_path / "base", tied=tied), torch.bfloat16)
    ids = torch.as_tensor(rows[0].ids, dtype=torch.int64)[None]
    with torch.no_grad():
        ours = tuned.model(input_ids=ids).logits
        tuned.settle()
        theirs = tuned.model(input_ids=ids).logits
    assert ours.dtype == theirs.dtype == torch.bfloat16
    assert (ours.float() - theirs.float()).abs().max() <= 0.02 * theirs.float().abs().max()


class Made(TorchDispatchMode):
    """Counts new tensors of a shape."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.shapes = {tuple(weight.shape), tuple(weight.T.shape)}
        self.place, self.count = weight.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, Tensor) and tuple(one.shape) in self.shapes:
                self.count += one.untyped_storage().data_ptr() != self.place
        return out


@pytest.mark.parametrize("tied", [True, False])
def test_nothing_of_the_size_of_all_rows_is_made(tmp_path: Path, tied: bool) -> None:
    tuned, rows = stirred(base_folder(tmp_path / "base", tied=tied))
    model = tuned.model
    counts = []
    for _ in ("ours", "PEFT's"):
        for layer, into in (
            (model.get_input_embeddings(), torch.as_tensor(rows[0].ids, dtype=torch.int64)),
            (model.get_output_embeddings(), torch.randn(3, 64, requires_grad=True)),
        ):
            base = layer.token_adapter.get_base_layer().weight
            with Made(base) as made:
                layer(into).square().sum().backward()
            assert base.grad is None
            counts.append(made.count)
        settle_rows(model)
    assert counts[:2] == [0, 0]
    assert min(counts[2:]) >= 2, "PEFT has come to do without: this file may go"


def test_switched_off_it_computes_as_peft_does(tmp_path: Path) -> None:
    tuned, rows = stirred(base_folder(tmp_path / "base", tied=True))
    ids = torch.as_tensor(rows[0].ids, dtype=torch.int64)[None]
    wrapped = [module for module in tuned.model.modules() if isinstance(module, TrainableTokensWrapper)]
    with torch.no_grad():
        on = tuned.model(input_ids=ids).logits
        for module in wrapped:
            module.enable_adapters(False)
        off = tuned.model(input_ids=ids).logits
        settle_rows(tuned.model)
        torch.testing.assert_close(tuned.model(input_ids=ids).logits, off, rtol=0, atol=0)
        for module in wrapped:
            module.enable_adapters(True)
        assert shorten_rows(tuned.model, "default") == 2
    assert (on - off).abs().max() > 0.01
