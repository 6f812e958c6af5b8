"""Exact and near duplicates, in groups to look at."""

from collections.abc import Sequence

from tutelage.curate.duplicates import ExactDuplicates, NearDuplicates, same_text
from tutelage.curate.inspection.seen import Seen, Show, excerpt
from tutelage.curate.step import by_id, prompt_text
from tutelage.records.inspection import AlikeGroup, Duplicates

GROUPS = 5
"""So many groups of each sort are shown."""
MEMBERS = 3
"""So many rows of each."""


def duplicates_of(rows: Sequence[Seen], show: Show) -> Duplicates:
    """Return the duplicates among ``rows``, by the steps of curation at their defaults; a pair is compared with both of
    its answers."""
    same = _groups(ExactDuplicates(), rows, range(len(rows)))
    surplus = {other for others in same.values() for other, _ in others}
    alike = _groups(NearDuplicates(), rows, [place for place in range(len(rows)) if place not in surplus])
    return Duplicates(
        prompts=len({same_text(prompt_text(row.whole)) for row in rows}),
        exact_groups=len(same),
        exact_surplus=sum(map(len, same.values())),
        near_groups=len(alike),
        near_surplus=sum(map(len, alike.values())),
        groups=(*_largest(same, rows, show, exact=True), *_largest(alike, rows, show, exact=False)),
    )


def _groups(
    step: ExactDuplicates | NearDuplicates, rows: Sequence[Seen], places: Sequence[int]
) -> dict[int, list[tuple[int, float]]]:
    """Rows at ``places`` that are kept for others: their places, with those of the others and how alike they are."""
    ordered = sorted(places, key=lambda place: by_id(rows[place].whole))
    whole = [rows[place].whole for place in ordered]
    twins = step.twins(step.summarize(whole), whole)
    found: dict[int, list[tuple[int, float]]] = {}
    for at in twins.gone():
        found.setdefault(ordered[twins.of[at]], []).append((ordered[at], float(twins.likeness[at])))
    return found


def _largest(
    groups: dict[int, list[tuple[int, float]]], rows: Sequence[Seen], show: Show, *, exact: bool
) -> list[AlikeGroup]:
    found = sorted(groups.items(), key=lambda pair: (-len(pair[1]), rows[pair[0]].key))[:GROUPS]
    return [
        AlikeGroup(
            exact=exact,
            rows=1 + len(others),
            least=min(likeness for _, likeness in others),
            examples=(
                excerpt(rows[first], show, "would be kept"),
                *(
                    excerpt(rows[other], show, "the same" if exact else f"{likeness:.2f} alike")
                    for other, likeness in sorted(others, key=lambda pair: (pair[1], rows[pair[0]].key))[: MEMBERS - 1]
                ),
            ),
        )
        for first, others in found
    ]
