"""The task: instructions with verifiable constraints (after Zhou et al. 2023, IFEval; families and texts are own)."""

from collections.abc import Sequence

from tutelage.records import LEVELS, Answer, Conversation, Item, Level, Split, Verdict, unscored
from tutelage.tasks.constraints.audit import audit_answer
from tutelage.tasks.constraints.checking import check_answer
from tutelage.tasks.constraints.items import DIMENSION, TASK, generate, narrow, rephrase
from tutelage.tasks.constraints.mending import mend_answer, plain_request


class Constraints:
    """Short requests with one to four verifiable constraints; :class:`tutelage.tasks.protocol.Task`."""

    @property
    def name(self) -> str:
        """``constraints``."""
        return TASK

    @property
    def dimension(self) -> str:
        """``instruction_following``."""
        return DIMENSION

    @property
    def levels(self) -> tuple[Level, ...]:
        """All four."""
        return LEVELS

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different items, the same for the same arguments, and a prefix of those for a larger ``n``."""
        return generate(split, level, n, seed)

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return for each answer one part per constraint, and 1 only if all of them hold."""
        return [check_answer(item, answer) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return for each answer whether it is one at all; knows no constraint's parameters."""
        return [
            unscored("There is no answer.") if answer.finish == "error" else audit_answer(item, answer)
            for item, answer in zip(items, answers, strict=True)
        ]

    def decompose(self, item: Item, parts: Sequence[str]) -> Item | None:
        """Return ``item`` with only the constraints that ``parts`` names; it is a ``Decomposable`` task."""
        return narrow(item, parts)

    def mend(self, item: Item, text: str) -> str | None:
        """Return ``text`` in the form that ``item`` demands, as far as a program can; it is a ``Mendable`` task."""
        return mend_answer(item, text)

    def plain(self, item: Item) -> Conversation | None:
        """Return the base request alone; None where a constraint is a matter of what is said."""
        return plain_request(item)

    def reword(self, item: Item, n: int, seed: int) -> list[Item]:
        """Return at most ``n`` items that make the same demands in other words; it is a ``Rewordable`` task."""
        return rephrase(item, n, seed)
