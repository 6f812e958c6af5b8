"""Sources of rows beside the items of tasks, one kind a file."""

from typing import Annotated

from pydantic import Field

from tutelage.recipe.sources.back_translation import BackTranslationSource
from tutelage.recipe.sources.bootstrap import BootstrapSource
from tutelage.recipe.sources.constitution import ConstitutionSource
from tutelage.recipe.sources.documents import DocumentsSource
from tutelage.recipe.sources.evolve import EvolveSource
from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.recipe.sources.magpie import MagpieSource
from tutelage.recipe.sources.passages import PassagesSource
from tutelage.recipe.sources.reflection import ReflectionSource
from tutelage.recipe.sources.self_improvement import SelfImprovementSource
from tutelage.recipe.sources.self_instruct import SelfInstructSource
from tutelage.recipe.sources.self_rewarding import SelfRewardingSource
from tutelage.recipe.sources.star import StarSource
from tutelage.recipe.sources.templates import TemplatesSource

Source = Annotated[
    DocumentsSource
    | InstructionsSource
    | SelfInstructSource
    | EvolveSource
    | BackTranslationSource
    | StarSource
    | MagpieSource
    | SelfRewardingSource
    | ConstitutionSource
    | ReflectionSource
    | TemplatesSource,
    Field(discriminator="kind"),
]

__all__ = [
    "BackTranslationSource",
    "BootstrapSource",
    "ConstitutionSource",
    "DocumentsSource",
    "EvolveSource",
    "InstructionsSource",
    "MagpieSource",
    "PassagesSource",
    "ReflectionSource",
    "SelfImprovementSource",
    "SelfInstructSource",
    "SelfRewardingSource",
    "Source",
    "StarSource",
    "TemplatesSource",
]
