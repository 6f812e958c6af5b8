"""A set of judged answers in numbers: how many were scored, their mean, and whether the judge likes length.

A length-controlled win rate (Dubois et al. 2024) is not here: it compares two models, and no comparison is judged yet.
"""

from collections import Counter
from collections.abc import Sequence

from tutelage.judging.reading import Kind
from tutelage.records import Verdict
from tutelage.records.judging import JudgedSet
from tutelage.statistics.ranks import spearman

FEWEST = 3


def summarize(
    label: str,
    verdicts: Sequence[Verdict],
    kinds: Sequence[Kind | None],
    *,
    lengths: Sequence[int],
) -> JudgedSet:
    """Return the set of ``verdicts`` on answers of ``lengths`` words; ``kinds`` say why one is unscored."""
    pairs = zip(verdicts, lengths, strict=True)
    scored = [(verdict.score, length) for verdict, length in pairs if verdict.score is not None]
    scores = [score for score, _ in scored]
    judges = {verdict.judge.to_json(): verdict.judge for verdict in verdicts if verdict.judge is not None}
    return JudgedSet(
        label=label,
        judges=tuple(judges.values()),
        n=len(verdicts),
        scored=len(scores),
        mean=sum(scores) / len(scores) if scores else None,
        unscored=dict(sorted(Counter(kind for kind in kinds if kind is not None).items())),
        length_correlation=length_correlation(scores, [length for _, length in scored]),
    )


def length_correlation(scores: Sequence[float], lengths: Sequence[int]) -> float | None:
    """Return Spearman's rank correlation; None where there are fewer than three or one of both never varies."""
    found = spearman(scores, lengths) if len(scores) >= FEWEST else None
    return None if found is None else round(found, 4)


def words(found: JudgedSet) -> str:
    """Return the set in a sentence."""
    said = [f"{found.scored:,} of {found.n:,} {found.of} were scored"]
    if found.mean is not None:
        said.append(f"mean {found.mean:.2f}")
    if found.length_correlation is not None:
        said.append(f"correlation of score and length {found.length_correlation:+.2f} (Spearman)".replace("-", "−"))
    if found.swapped is not None:
        said.append(f"{found.swapped:.0%} of them changed with the order and count as ties")
    if found.unscored:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in found.unscored.items())
        said.append(f"unscored, and none of them a zero: {counts}")
    if len(found.judges) > 1:
        said.append(f"judged by {len(found.judges)} different engines or prompts")
    return f"{found.label}: {'; '.join(said)}"
