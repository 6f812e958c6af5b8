"""IA³ through PEFT: factors of keys, values and of what the feed-forward layers pass on (Liu et al. 2022, section 3.3).

y = l ⊙ (x Wᵀ + b)      of a feed-forward target: y = (l ⊙ x) Wᵀ + b      l begins at 1
"""

from peft import IA3Config
from peft.utils import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as KNOWN

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.recipe.methods import Ia3Method
from tutelage.tune.methods.adapter import AdapterTuned, named_layers


class Ia3Tuned(AdapterTuned):
    """A model with factors in it. They are float32: next to 1, bfloat16 knows no step smaller than 1/256."""

    def __init__(self, bundle: Bundle, section: Ia3Method, *, seed: int) -> None:
        architecture: str = bundle.model.config.model_type
        if section.targets == "default" and architecture not in KNOWN:
            raise TrainingError(
                "PEFT does not know which layers of this architecture get factors",
                where="method.targets",
                received=architecture,
                remedy="name the layers of keys and values and the last feed-forward layer; the latter in feedforward, "
                "too",
            )
        config = IA3Config()
        if section.targets != "default":
            targets = named_layers(bundle.model, section.targets)
            config = IA3Config(target_modules=targets, feedforward_modules=list(section.feedforward))
        super().__init__(bundle, config, seed=seed, keep_dtype=False)
        if isinstance(config.feedforward_modules, set):
            config.feedforward_modules = sorted(config.feedforward_modules)


def add_ia3(bundle: Bundle, section: Ia3Method, *, seed: int) -> Ia3Tuned:
    """Put trainable factors into the bundle's model.

    Raises
    ------
    TrainingError: a name of ``targets`` is no linear layer of the model, there is an adapter already, or nothing is
        named and the architecture is not known.
    """
    return Ia3Tuned(bundle, section, seed=seed)
