"""Weighted sums of objectives over the same rows: the model runs once, and each part reads what it needs of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.training.network import Network, Predictions


@dataclass(frozen=True, slots=True)
class Sum(Objective[Any]):
    """Σ factor · objective. Documents that several parts ask for are computed once."""

    parts: tuple[tuple[float, Objective[Any]], ...]

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales of all parts, one part after another."""
        return tuple(factor * scale for factor, part in self.parts for scale in part.scales)

    def documents(self, row: Any) -> tuple[Encoded, ...]:
        """All documents that a part asks for, each once."""
        return tuple({id(document): document for _, part in self.parts for document in part.documents(row)}.values())

    def weights(self, row: Any) -> tuple[float, ...]:
        """Those of all parts, one part after another."""
        return tuple(weight for _, part in self.parts for weight in part.weights(row))

    def referred(self, rows: Sequence[Any]) -> Sequence[Encoded]:
        """What any part needs."""
        return [document for _, part in self.parts for document in part.referred(rows)]

    def taught(self, rows: Sequence[Any]) -> Sequence[Encoded]:
        """What any part needs."""
        return [document for _, part in self.parts for document in part.taught(rows)]

    def at(self, step: int) -> "Sum":
        """The sum of what each part is in a step."""
        return replace(self, parts=tuple((factor, part.at(step)) for factor, part in self.parts))

    def before(self, rows: Sequence[Any], network: Network, limit: int) -> "Sum":
        """Return the sum of what each part is in this step."""
        return replace(self, parts=tuple((factor, part.before(rows, network, limit)) for factor, part in self.parts))

    def cost(self, rows: Sequence[Any], predictions: Predictions) -> Cost:
        """The terms of all parts, one after another, and what they tell, under a part's name where names clash."""
        documents = [self.documents(row) for row in rows]
        firsts = [0, *accumulate(map(len, documents))]
        costs = []
        for _, part in self.parts:
            places = [
                first + next(at for at, document in enumerate(found) if document is wanted)
                for row, found, first in zip(rows, documents, firsts[:-1], strict=True)
                for wanted in part.documents(row)
            ]
            costs.append(part.cost(rows, predictions.pick(places)))
        names = [name for cost in costs for name in cost.told]
        told = {}
        for (_, part), cost in zip(self.parts, costs, strict=True):
            for name, value in cost.told.items():
                told[name if names.count(name) == 1 else f"{type(part).__name__.lower()}_{name}"] = value
        return Cost(tuple(term for cost in costs for term in cost.terms), told)
