"""LoRA that begins at a part of the weights: W + s·(BA − B₀A₀), with A and B beginning at A₀ and B₀.

PiSSA (Meng et al. 2024, eq. 2 to 4): s·B₀A₀ is the part of W that its r largest singular values make, halved evenly
between both, A₀ = √(Σ_r/s)·V_rᵀ and B₀ = U_r·√(Σ_r/s). OLoRA (Büyükakyüz 2024): B₀ and A₀ are the first r columns of Q
and rows of R, W = QR.

Deviation: both papers, and PEFT, take s·B₀A₀ out of W. Here W is never touched and −B₀A₀ stands beside the update, as
the second half of an adapter of rank 2r whose first half is trained: [B, −B₀]·[A; A₀]. That is what PEFT's conversion
to LoRA makes of its own at the end; the model computes at step 0 what it did, the adapter fits the base that others
have, and in bfloat16 W − s·B₀A₀ is not rounded anew. Dropout would fall on the part of the model too and is refused.
"""

import math
from functools import partial
from typing import Literal

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.nn.functional import linear

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.recipe.methods import LoraMethod
from tutelage.tune.methods.adapter import ADAPTER, AdapterTuned
from tutelage.tune.methods.lora import base_weight, is_plain, lora_targets
from tutelage.tune.methods.new_rows import ROWS
from tutelage.tune.training.adapted import KnownForward, Parts


class PrincipalTuned(AdapterTuned):
    """A model with an adapter of rank 2r, half of which is trained; PEFT's own weights have it after :meth:`settle`."""

    def __init__(self, bundle: Bundle, section: LoraMethod, *, seed: int) -> None:
        assert section.init != "default"
        same_scale = math.sqrt(2) if section.rslora else 2  # for twice the rank; PEFT's conversion writes such numbers
        config = LoraConfig(
            r=2 * section.r,
            lora_alpha=section.alpha * same_scale,  # type: ignore[arg-type]
            use_rslora=section.rslora,
            target_modules=lora_targets(bundle.model, section.targets),
        )
        super().__init__(bundle, config, seed=seed, keep_dtype=section.dtype == "auto")
        self._layers = {name: module for name, module in self.model.named_modules() if isinstance(module, Linear)}
        self._refuse_rank(section)
        self.parameters = {name: rows for name, rows in self.parameters.items() if ROWS in name}
        for name, module in self._layers.items():
            a, b = _begin(module, section.r, section.init)
            self.parameters |= {f"{name}.lora_A.{ADAPTER}.weight": a, f"{name}.lora_B.{ADAPTER}.weight": b}
            known = KnownForward(module, partial(_parts, module, a, b)) if is_plain(module) else None
            module.forward = known or partial(_forward, module, a, b)  # type: ignore[method-assign]

    def settle(self) -> None:
        """Put the trained halves into PEFT's adapter and give it its own arithmetic back."""
        super().settle()
        for name, module in self._layers.items():
            a, b = (self.parameters[f"{name}.lora_{part}.{ADAPTER}.weight"] for part in "AB")
            whole_a, whole_b = _factors(module)
            with torch.no_grad():
                whole_a[: len(a)] = a
                whole_b[:, : len(a)] = b
            vars(module).pop("forward", None)

    def _refuse_rank(self, section: LoraMethod) -> None:
        """Raise :class:`TrainingError`, with the model as it came, where a layer has no such part."""
        for name, module in self._layers.items():
            most = min(base_weight(module).shape)
            if section.r > most:
                self.release()
                raise TrainingError(
                    f"the weights have no part of such a rank to begin at ({section.init})",
                    where="method.r",
                    received=f"{section.r}; {name.rsplit('.', 1)[-1]} has {most}",
                    remedy=f"lower it to {most}, or take init: default",
                )


def _begin(module: Linear, r: int, init: Literal["pissa", "olora"]) -> tuple[nn.Parameter, nn.Parameter]:
    """Lay A₀ and −B₀ into the second half of a layer's adapter, and return the first half, which begins at A₀, B₀."""
    whole_a, whole_b = _factors(module)
    a, b = principal_part(base_weight(module), r, scale=module.scaling[ADAPTER], init=init)
    a, b = a.to(whole_a.dtype), b.to(whole_b.dtype)
    with torch.no_grad():
        whole_a.copy_(torch.cat([a, a]))
        whole_b.copy_(torch.cat([b, -b], dim=1))
    whole_a.requires_grad_(False)
    whole_b.requires_grad_(False)
    return nn.Parameter(a.contiguous()), nn.Parameter(b.contiguous())


def principal_part(weight: Tensor, r: int, *, scale: float, init: Literal["pissa", "olora"]) -> tuple[Tensor, Tensor]:
    """Return A₀ (r, in) and B₀ (out, r) of ``weight`` (out, in), all float32."""
    if init == "olora":
        q, upper = torch.linalg.qr(weight)
        return upper[:r], q[:, :r]
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    roots = (values[:r] / scale).sqrt()
    return roots[:, None] * right[:r], left[:, :r] * roots


def _factors(module: Linear) -> tuple[Tensor, Tensor]:
    """PEFT's own A (2r, in) and B (out, 2r)."""
    a, b = module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight
    assert isinstance(a, Tensor)
    assert isinstance(b, Tensor)
    return a, b


def _halves(module: Linear, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A (2r, in) and B (out, 2r): the halves that train, and those that stand."""
    whole_a, whole_b = _factors(module)
    return torch.cat([a, whole_a[len(a) :]]), torch.cat([b, whole_b[:, len(a) :]], dim=1)


def _parts(module: Linear, a: Tensor, b: Tensor) -> Parts:
    base = module.get_base_layer()
    assert isinstance(base, nn.Linear)
    return Parts(base.weight, base.bias, *_halves(module, a, b), module.scaling[ADAPTER])


def _forward(module: Linear, a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    alone: Tensor = module.get_base_layer()(x)
    a, b = _halves(module, a, b)
    whole: Tensor = alone + linear(linear(x.to(a.dtype), a), b) * module.scaling[ADAPTER]
    return whole.to(alone.dtype)


def add_principal_lora(bundle: Bundle, section: LoraMethod, *, seed: int) -> PrincipalTuned:
    """Put a trainable adapter that begins at a part of the weights into the bundle's model.

    Raises
    ------
    TrainingError: a name of ``targets`` is no linear layer of the model, there is an adapter already, or a layer has
        no part of rank ``r``.
    """
    return PrincipalTuned(bundle, section, seed=seed)
