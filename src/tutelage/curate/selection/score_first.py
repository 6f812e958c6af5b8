"""The rows with the best scores that are not too much alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.apart import keep_apart
from tutelage.curate.selection.embedding import embed
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.selection.scores import label, read_scores, scores_of
from tutelage.curate.step import Content, Sifted, drop
from tutelage.errors import DataError, Problem
from tutelage.events import Emit, silent
from tutelage.recipe.curate.selection import FileScore, IfdScore, ScoreFirstStep
from tutelage.records import Dropped, Example
from tutelage.records.readings import RowScore

UNSCORED = "it has no score"
UNHELPED = "its prompt does not help with the answer"
"""What an IFD of 1 or more says: it is no large difficulty, but most often an answer to something else."""


class ScoreFirst:
    """Keeps the ``amount`` of rows with the largest complexity × quality of which none is too near one before it.

    The selection of DEITA (Liu et al. 2024, "score-first, diversity-aware"): rows by their product of scores, largest
    first; a row joins unless its cosine with one that joined before reaches ``max_cosine``; it ends when enough have
    joined. Where the paper's two scorers gave the scores (``kind: file``) it is DEITA's, up to these deviations: rows
    are compared by the recipe's embedding, not by the last token's state of a 13B model; a row of several turns has one
    score, where DEITA's code sums over turns. With other scores it is another method with the same second half. Rows
    without a score are dropped, never taken for a zero, and so are rows with an IFD of 1 or more where that is a score;
    of equal products the smaller id comes first.
    """

    name = "score_first"

    def __init__(
        self,
        section: ScoreFirstStep,
        *,
        folder: Path | None = None,
        reader: RowReader | None = None,
        emit: Emit = silent,
    ) -> None:
        """Raises :class:`DataError` and :class:`StorageError` for files of scores that cannot be used."""
        self.section = section
        self.amount = Amount(section.share, section.rows)
        self.reader = reader
        self.emit = emit
        self._parts = [section.complexity, *([section.quality] if section.quality is not None else [])]
        self._files: Mapping[str, Mapping[str, float]] = {
            label(part): read_scores(part, folder) for part in self._parts if isinstance(part, FileScore)
        }

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped, with the scores of every row. Raises :class:`DataError` when no row
        has any."""
        scored, dropped, scores = self._scored(rows)
        if rows and not scored:
            reasons = sorted({row.reason.partition(": ")[2] for row in dropped if row.reason.startswith(UNSCORED)})
            if not reasons:
                return Sifted([], dropped, (), tuple(scores))
            remedy = "let the recipe's judge score rows (construct.judge), give a file of scores, or take another score"
            problems = [Problem("no row has a score", self.name, reason, remedy) for reason in reasons[:3]]
            raise DataError("curate", problems)
        scored.sort(key=lambda pair: (-pair[1], pair[0].id, Content(pair[0])))
        ordered = [row for row, _ in scored]
        count = self.amount.of(len(rows))
        vectors = embed(ordered, self.section.embedding, self.reader)
        places = range(len(ordered))
        kept, alike = keep_apart(vectors, places, self.section.max_cosine, count=count, emit=self.emit)
        for at in sorted(set(places) - set(kept)):
            row, score = scored[at]
            if (like := alike.get(at)) is not None:
                detail = f"{like.cosine:.2f} like {ordered[like.place].id}, whose score is {scored[like.place][1]:.3g}"
                dropped.append(drop(row, self.name, "too much like a row with a better score", detail))
            else:
                detail = f"score {score:.3g}, {len(kept):,} rows came before it"
                dropped.append(drop(row, self.name, "others have a better score", detail))
        notes: tuple[str, ...] = ()
        if len(kept) < min(count, len(rows)):
            notes = (f"only {len(kept):,} rows are unlike enough, {count:,} were wanted",)
        return Sifted([ordered[at] for at in kept], dropped, notes, tuple(scores))

    def _scored(self, rows: Sequence[Example]) -> tuple[list[tuple[Example, float]], list[Dropped], list[RowScore]]:
        """Rows with their products, those without one as dropped, and all that is known of each."""
        found: list[tuple[Example, float]] = []
        dropped: list[Dropped] = []
        scores: list[RowScore] = []
        columns = [scores_of(rows, part, reader=self.reader, files=self._files) for part in self._parts]
        for row, *values in zip(rows, *columns, strict=True):
            product, missing, unhelped = 1.0, "", ""
            for part, value in zip(self._parts, values, strict=True):
                if isinstance(value, str):
                    missing = missing or value
                else:
                    if isinstance(part, IfdScore) and value >= 1:
                        unhelped = f"IFD {value:.3g}"
                    product *= value
                    scores.append(RowScore(id=row.id, step=self.name, name=label(part), value=value))
            if missing:
                dropped.append(drop(row, self.name, UNSCORED, missing))
            elif unhelped:
                dropped.append(drop(row, self.name, UNHELPED, unhelped))
            else:
                found.append((row, product))
        return found, dropped, scores
