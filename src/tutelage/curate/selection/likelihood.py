"""Rows by how the starting model finds their answers."""

from collections.abc import Sequence
from typing import Literal

from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.step import Content, Sifted, drop
from tutelage.records import Dropped, Example
from tutelage.records.readings import Likelihood, RowScore

Read = list[tuple[Example, Likelihood]]
UNREAD = "the model cannot read it"


class Ifd:
    """Keeps rows of which the IFD is under ``below``, and of these the ``amount`` with the largest.

    IFD = PPL(y|x) / PPL(y) under the starting model (Li et al. 2024, "Superfiltering"; the paper before it, "From
    Quantity to Quality", divides losses, which puts the rows in another order but has the same rows below 1). y are the
    words of the last answer, x all that stands before it, earlier answers included: of a row of several turns one
    answer is measured. Deviations: y alone stands behind what the chat template writes before an answer, where the
    paper puts it behind nothing, so that both readings see an answer begin; the model is not tuned on a part of the
    rows first.
    """

    name = "ifd"

    def __init__(self, *, below: float = 1.0, amount: Amount | None = None, reader: RowReader) -> None:
        self.below = below
        self.amount = amount or Amount()
        self.reader = reader

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped, with every row's value."""
        read, dropped = read_all(rows, self.reader, self.name)
        passed: Read = []
        for row, found in read:
            if found.ifd < self.below:
                passed.append((row, found))
            else:
                detail = f"IFD {found.ifd:.3f}, kept below {self.below:g}"
                dropped.append(drop(row, self.name, "its prompt does not help with the answer", detail))
        passed.sort(key=lambda pair: (-pair[1].ifd, pair[0].id, Content(pair[0])))
        count = self.amount.of(len(rows))
        for row, found in passed[count:]:
            detail = f"IFD {found.ifd:.3f}, the {self.amount} with the largest are kept"
            dropped.append(drop(row, self.name, "its prompt helps more than that of others", detail))
        scores = tuple(RowScore(id=row.id, step=self.name, name="ifd", value=found.ifd) for row, found in read)
        return Sifted([row for row, _ in passed[:count]], dropped, _notes(rows), scores)


class Perplexity:
    """Keeps rows of which the perplexity of the last answer after its prompt is in bounds, and of these the ``amount``
    that is preferred.

    PPL(y|x) under the starting model, y and x as in :class:`Ifd`. ``middle`` prefers those around the median of the
    rows in bounds, in ranks: as many above it as below (Marion et al. 2023, who keep a middle part of perplexities of
    training texts; here it is of answers).
    """

    name = "perplexity"

    def __init__(
        self,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        amount: Amount | None = None,
        prefer: Literal["low", "middle", "high"] = "middle",
        reader: RowReader,
    ) -> None:
        self.at_least = at_least
        self.at_most = at_most
        self.amount = amount or Amount()
        self.prefer = prefer
        self.reader = reader

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped, with every row's value."""
        read, dropped = read_all(rows, self.reader, self.name)
        passed: Read = []
        for row, found in read:
            if self.at_least is not None and found.perplexity < self.at_least:
                detail = f"perplexity {found.perplexity:.3g}, at least {self.at_least:g}"
                dropped.append(drop(row, self.name, "the model expects this answer", detail))
            elif self.at_most is not None and found.perplexity > self.at_most:
                detail = f"perplexity {found.perplexity:.3g}, at most {self.at_most:g}"
                dropped.append(drop(row, self.name, "the answer is too surprising", detail))
            else:
                passed.append((row, found))
        kept, others = self._preferred(passed, self.amount.of(len(rows)))
        for row, found in others:
            detail = f"perplexity {found.perplexity:.3g}, {self.amount} are kept"
            dropped.append(drop(row, self.name, f"others are nearer to the {self.prefer} values", detail))
        scores = tuple(
            RowScore(id=row.id, step=self.name, name="perplexity", value=found.perplexity) for row, found in read
        )
        return Sifted([row for row, _ in kept], dropped, _notes(rows), scores)

    def _preferred(self, passed: Read, count: int) -> tuple[Read, Read]:
        passed = sorted(passed, key=lambda pair: (pair[1].given, pair[0].id, Content(pair[0])))
        surplus = max(0, len(passed) - count)
        start = {"low": 0, "middle": surplus // 2, "high": surplus}[self.prefer]
        end = start + min(count, len(passed))
        return passed[start:end], passed[:start] + passed[end:]


def read_all(rows: Sequence[Example], reader: RowReader, step: str) -> tuple[Read, list[Dropped]]:
    """Return rows with what the model makes of them, and those that it cannot read, as dropped: what has no exact loss
    mask or is too long could not be learned from either."""
    read: Read = []
    dropped: list[Dropped] = []
    for row, found in zip(rows, reader.likelihoods(rows), strict=True):
        if isinstance(found, str):
            dropped.append(drop(row, step, UNREAD, found))
        else:
            read.append((row, found))
    return read, dropped


def _notes(rows: Sequence[Example]) -> tuple[str, ...]:
    several = sum(sum(message.role == "assistant" for message in row.messages) > 1 for row in rows)
    return (f"of {several:,} rows with several answers the last one was measured",) if several else ()
