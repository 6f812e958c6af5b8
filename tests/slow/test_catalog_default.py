"""The shares that the catalog states are those of the default model."""

import pytest
import yaml
from pydantic import TypeAdapter

from tutelage.models.load import load_bundle
from tutelage.recipe.catalog import METHODS, Entry, written
from tutelage.recipe.methods import LoraMethod, Method
from tutelage.tune.methods import build_method

pytestmark = pytest.mark.slow
READ: TypeAdapter[Method] = TypeAdapter(Method)


@pytest.mark.parametrize("entry", [entry for entry in METHODS if entry.built], ids=written)
def test_the_share_of_trained_weights_is_as_stated(entry: Entry) -> None:
    method = READ.validate_python(yaml.safe_load(written(entry)))
    if entry.scope == "as lora":  # of the same shapes
        method = LoraMethod(kind="lora")
    bundle = load_bundle("default", dtype="float32", device="cpu")
    weights = sum(parameter.numel() for parameter in bundle.model.parameters())
    tuned = build_method(method)(bundle, 0)
    trained = sum(parameter.numel() for parameter in tuned.parameters.values())
    assert entry.share == pytest.approx(trained / weights, rel=5e-3)
