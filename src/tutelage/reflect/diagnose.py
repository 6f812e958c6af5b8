"""What is weak and why: the gap of each cell and the reasons for which its answers failed, most frequent first."""

import re
from collections.abc import Sequence

from tutelage.errors import TutelageError
from tutelage.records.scores import CellDiagnosis, CellScore, FailureReason, ItemScore, Matrix, Role
from tutelage.text.words import sentences

QUOTED = re.compile(r"«[^»]*»|“[^”]*”|\"[^\"]*\"|(?<!\w)['‘][^'’]*['’](?!\w)")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
UNNAMED = "no reason given"
EXAMPLES = 3


def diagnose(
    matrix: Matrix,
    scores: Sequence[ItemScore],
    *,
    round: int,
    role: Role = "promoted",
    target: float = 1.0,
    top: int = 5,
) -> list[CellDiagnosis]:
    """Return every cell of a round, largest gap to ``target`` first (cells without a score last), with reasons.

    ``scores`` are the item scores behind that round. Refuses the gate and test splits: what chooses the next data must
    not have seen them. Raises ``TutelageError`` for these and for a round without cells.
    """
    if matrix.split in ("gate", "test"):
        raise TutelageError(
            f"the {matrix.split} split must not choose what is made next",
            where="diagnose",
            remedy="give the matrix and the scores of the probe split",
        )
    cells = matrix.of(round=round, role=role)
    if not cells:
        raise TutelageError(
            f"the matrix has no {role} scores of round {round}",
            where="diagnose",
            received=f"rounds {', '.join(map(str, matrix.rounds)) or 'none'}",
        )
    found = [_cell(cell, scores, target=target, top=top) for cell in cells]
    order = {(cell.dimension, cell.level): index for index, cell in enumerate(cells)}
    return sorted(found, key=lambda d: (d.gap is None, -(d.gap or 0.0), order[d.dimension, d.level]))


def _cell(cell: CellScore, scores: Sequence[ItemScore], *, target: float, top: int) -> CellDiagnosis:
    inside = [s for s in scores if (s.dimension, s.level, s.transfer) == (cell.dimension, cell.level, False)]
    failed = [score for score in inside if score.counted is not None and score.counted < 1]
    return CellDiagnosis(
        dimension=cell.dimension,
        level=cell.level,
        value=cell.value,
        n=cell.n,
        gap=None if cell.value is None else max(target - cell.value, 0.0),
        failed=len(failed),
        unscored=sum(score.counted is None for score in inside),
        reasons=group_reasons(failed)[:top],
    )


def group_reasons(failed: Sequence[ItemScore]) -> tuple[FailureReason, ...]:
    """Return the kinds of failure with their counts, most frequent first, up to three example ids each.

    A reason of several sentences names several faults and counts for each; sentences that differ only in numbers or in
    what they quote are one kind. An answer that passed the check and failed the audit is a kind of its own.
    """
    kinds: dict[str, list[str]] = {}
    for score in failed:
        passed = score.score is not None and score.score >= 1
        said = ["passed the check and failed the audit"] if passed else sentences(score.reason) or [UNNAMED]
        for kind in dict.fromkeys(normalized_reason(sentence) for sentence in said):
            kinds.setdefault(kind, []).append(score.item_id)
    ranked = sorted(kinds.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return tuple(
        FailureReason(reason=kind, count=len(ids), share=len(ids) / len(failed), examples=tuple(ids[:EXAMPLES]))
        for kind, ids in ranked
    )


def normalized_reason(reason: str) -> str:
    """Return a reason without what is particular to one item: numbers become ``#``, quotations ``“…”``."""
    return " ".join(NUMBER.sub("#", QUOTED.sub("“…”", reason)).split())
