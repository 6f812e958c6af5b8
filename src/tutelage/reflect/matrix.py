"""The instruction-alignment matrix: A[dimension][level][round] of one split, candidate and promoted."""

from collections import Counter
from collections.abc import Sequence

from tutelage.errors import DataError, Problem
from tutelage.records.scores import ControlScores, Matrix, ScoreSummary


def build_matrix(summaries: Sequence[ScoreSummary], *, controls: Sequence[ScoreSummary] = ()) -> Matrix:
    """Return the matrix of the summaries of one split, with those of ``controls`` beside it.

    Raises ``DataError`` when there is none, when splits are mixed, or when two are of one round and role.
    """
    if not summaries:
        raise DataError("matrix", [Problem("there is no summary", remedy="evaluate at least one model")])
    problems = []
    splits = sorted({summary.split for summary in (*summaries, *controls)})
    if len(splits) > 1:
        problems.append(Problem("a matrix is of one split", received=", ".join(splits), remedy="build one a split"))
    for (number, role), count in Counter((summary.round, summary.role) for summary in summaries).items():
        if count > 1:
            problems.append(Problem(f"round {number} has {count} summaries of the {role} model", remedy="keep one"))
    if problems:
        raise DataError("matrix", problems)
    ordered = sorted(summaries, key=lambda summary: (summary.round, summary.role))
    return Matrix(
        split=summaries[0].split,
        cells=tuple(cell for summary in ordered for cell in summary.cells),
        macros=tuple(summary.macro for summary in ordered),
        controls=tuple(ControlScores(name=one.label, cells=one.cells, macro=one.macro) for one in controls),
    )
