"""QLoRA: LoRA on a base whose linear layers are kept in 4 bits (Dettmers et al. 2023, eq. 5).

    dequantize(W) + (alpha/r)·BA      W in NF4 and frozen, A and B in float32

The base is made by :func:`tutelage.models.load.load_bundle`. Deviation: no paged optimizer; that of adapters is small.
"""

from peft import LoraConfig

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.recipe.methods import QloraMethod
from tutelage.tune.methods.adapter import AdapterTuned
from tutelage.tune.methods.lora import lora_targets


class QloraTuned(AdapterTuned):
    """A model of 4 bits with a LoRA adapter in it, computed by PEFT's layers and the kernels of bitsandbytes."""

    def __init__(self, bundle: Bundle, section: QloraMethod, *, seed: int) -> None:
        if not bundle.four_bit:
            raise TrainingError(
                "the weights of the model are not in 4 bits",
                where="method",
                received=f"qlora on {bundle.source.id} in {bundle.model.dtype}",
                remedy="load it with load_bundle(..., four_bit=True), or take method: {kind: lora}",
            )
        config = LoraConfig(
            r=section.r,
            lora_alpha=section.alpha,
            lora_dropout=section.dropout,
            target_modules=lora_targets(bundle.model, section.targets),
        )
        super().__init__(bundle, config, seed=seed, keep_dtype=False)


def add_qlora(bundle: Bundle, section: QloraMethod, *, seed: int) -> QloraTuned:
    """Put a trainable adapter into the bundle's model.

    Raises
    ------
    TrainingError: the model is not in 4 bits, a name of ``targets`` is no linear layer of it, or there is an adapter
        already.
    """
    return QloraTuned(bundle, section, seed=seed)
