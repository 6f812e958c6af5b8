"""Agreement of a judge with people on the same items."""

from collections.abc import Mapping
from dataclasses import replace

from tutelage.records import Verdict
from tutelage.statistics import Agreement, cohen_kappa


def agreement(judged: Mapping[str, Verdict], human: Mapping[str, Verdict], *, threshold: float = 0.75) -> Agreement:
    """Return Cohen's κ of a judge and people who say of the same items, by id, whether an answer is good enough.

    Good enough is a score of at least ``threshold``. Items that one of both lacks or left unscored are left out and
    counted: an outage is no opinion.
    """
    every = sorted(judged.keys() | human.keys())
    both: list[tuple[bool, bool]] = []
    for name in every:
        one, other = judged.get(name), human.get(name)
        if one is not None and other is not None and one.score is not None and other.score is not None:
            both.append((one.score >= threshold, other.score >= threshold))
    found = cohen_kappa([one for one, _ in both], [other for _, other in both])
    return replace(found, left_out=len(every) - len(both))
