"""Virtual tokens before every document: learned embeddings, or learned keys and values of each layer.

In the packed row they are tokens like all others, the first ``count`` of each document, that nothing predicts and that
all documents begin with alike. So the row holds them once (:mod:`batches`), each document attends to them whichever way
attention goes, and positions count them. Only what they are is not looked up: the embeddings of a prompt take the place
of the tokens' own, the keys and values of a prefix the place of what a layer makes there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from tutelage.models.virtual import Layers


@dataclass(frozen=True, slots=True)
class LearnedPrompt:
    """``count`` virtual tokens (P) whose embeddings (P, H) are learned; ``embeddings`` gives those of the moment."""

    count: int
    embeddings: Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class LearnedPrefix:
    """``count`` virtual tokens (P) whose keys and values, (S, P, D) in each layer, are learned; ``layers`` gives those
    of the moment."""

    count: int
    layers: Callable[[], Layers]


Learned = LearnedPrompt | LearnedPrefix
