"""What an objective is: a value that says what must be seen of a row, and what the row then costs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.tune.training.network import Network, Predictions

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cost:
    """What some rows cost: the sum over them of each term of the loss, float32 scalars, and of what is told besides
    (accuracy of pairs, margins), detached."""

    terms: tuple[Tensor, ...]
    told: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(ABC, Generic[Row]):
    """Loss of a step = Σ_k scale_k · Σ term_k / Σ weight_k over its rows, so that any split of them gives the same."""

    __slots__ = ()

    @property
    def noise(self) -> float:
        """α of the noise on the embeddings of its documents (NEFTune); 0: none."""
        return 0.0

    @property
    def scales(self) -> tuple[float, ...]:
        """What each term of the loss is multiplied by."""
        return (1.0,)

    @property
    def updates(self) -> int:
        """How many steps, one after another, are made of the same rows."""
        return 1

    @abstractmethod
    def documents(self, row: Row) -> tuple[Encoded, ...]:
        """Return what the network must see of a row; all of it is packed into one micro-batch."""

    @abstractmethod
    def weights(self, row: Row) -> tuple[float, ...]:
        """Return what a row adds to the denominator of each term."""

    @abstractmethod
    def cost(self, rows: Sequence[Row], predictions: Predictions) -> Cost:
        """Return what ``rows`` cost, whose documents were predicted in order."""

    def referred(self, rows: Sequence[Row]) -> Sequence[Encoded]:
        """Return the documents whose log-probability under the model as it came is needed for a step of ``rows``."""
        return ()

    def taught(self, rows: Sequence[Row]) -> Sequence[Encoded]:
        """Return the documents of ``rows`` that a teacher must read."""
        return ()

    def at(self, step: int) -> Self:
        """Return the objective of a step, counted from 0; most are the same in all."""
        return self

    def before(self, rows: Sequence[Row], network: Network, limit: int) -> Self:
        """Return the objective of a step of ``rows``, having looked at what the model says before it.

        ``limit``: tokens to be computed at once.
        """
        return self
