"""What is minimized. An objective is a value with three functions of the rows; the loop does the rest.

| kind | file | rows | denominator |
|---|---|---|---|
| ``sft`` | ``sft`` | one document | target tokens, or rows (``average``) |
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.recipe.tune import SftObjective
from tutelage.tune.objectives.sft import Sft
from tutelage.tune.training.network import Predictions

Row = TypeVar("Row", contravariant=True)


class Objective(Protocol[Row]):
    """Loss of a step = Σ ``loss`` over its micro-batches / Σ ``weight`` over its rows: any split gives the same."""

    @property
    def noise(self) -> float:
        """α of the noise on the embeddings of its documents (NEFTune); 0: none."""
        ...

    def documents(self, row: Row) -> tuple[Encoded, ...]:
        """Return what the network must see of a row; all of it is packed into one micro-batch."""
        ...

    def weight(self, row: Row) -> float:
        """Return what a row adds to the denominator."""
        ...

    def loss(self, rows: Sequence[Row], predictions: Predictions) -> Tensor:
        """Return the sum of the losses of ``rows``, whose documents were predicted in order; a float32 scalar."""
        ...


def build_objective(section: SftObjective) -> Objective[Encoded]:
    """Return the objective of a recipe."""
    match section:
        case SftObjective():
            return Sft(section.average, section.label_smoothing, section.noise)


__all__ = ["Objective", "Sft", "build_objective"]
