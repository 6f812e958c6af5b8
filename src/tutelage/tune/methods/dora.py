"""DoRA through PEFT: m ⊙ V/‖V‖, V = W + (alpha/r)·BA, norms over the inputs of each output (Liu et al. 2024, eq. 5).

As the paper has it (section 4.3) no gradient passes through ‖V‖. Deviation from PEFT: m begins at the norms of W in
float32, where PEFT takes them in the arithmetic of the model; in bfloat16 they would be off by up to one part in 256,
and the model at step 0 not what it was.
"""

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import nn

from tutelage.models.load import Bundle
from tutelage.recipe.methods import DoraMethod
from tutelage.tune.methods.adapter import ADAPTER, AdapterTuned
from tutelage.tune.methods.lora import base_weight, lora_targets


class DoraTuned(AdapterTuned):
    """A model with a DoRA adapter in it. The adapter is float32: what m changes is lost in the rounding of bfloat16."""

    def __init__(self, bundle: Bundle, section: DoraMethod, *, seed: int) -> None:
        config = LoraConfig(
            r=section.r,
            lora_alpha=section.alpha,
            use_dora=True,
            lora_dropout=section.dropout,
            target_modules=lora_targets(bundle.model, section.targets),
        )
        super().__init__(bundle, config, seed=seed, keep_dtype=False)
        for module in self.model.modules():
            if isinstance(module, Linear):
                lengths = module.lora_magnitude_vector[ADAPTER].weight
                assert isinstance(lengths, nn.Parameter)
                lengths.data = torch.linalg.norm(base_weight(module), dim=1)


def add_dora(bundle: Bundle, section: DoraMethod, *, seed: int) -> DoraTuned:
    """Put a trainable adapter into the bundle's model.

    Raises
    ------
    TrainingError: a name of ``targets`` is no linear layer of the model, or there is an adapter already.
    """
    return DoraTuned(bundle, section, seed=seed)
