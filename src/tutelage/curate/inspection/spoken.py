"""Languages of prompts and answers."""

from collections import Counter
from collections.abc import Sequence

from tutelage.curate.filters.language import Language, asked_text, differ
from tutelage.curate.inspection.seen import Seen, Show, excerpt
from tutelage.records.inspection import Excerpt, Languages
from tutelage.text.languages import NAMES

EXAMPLES = 3


def languages_of(rows: Sequence[Seen], show: Show) -> Languages:
    """Return the languages of ``rows``, told as the step of curation tells them."""
    tell = Language(()).tell
    prompts: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    compared = apart = 0
    examples: list[Excerpt] = []
    for row in rows:
        asked = tell(asked_text(row.whole))
        said = [tell(view.target.text) for _, view in row.views]
        prompts[asked.code] += 1
        answers.update(one.code for one in said)
        compared += bool(asked.code and any(one.code for one in said))
        if other := next((one for one in said if differ(asked, one)), None):
            apart += 1
            if len(examples) < EXAMPLES:
                note = f"asked in {NAMES.get(asked.code, asked.code)}, answered in {NAMES.get(other.code, other.code)}"
                examples.append(excerpt(row, show, note))
    return Languages(
        n=len(rows),
        prompts=_counted(prompts),
        answers=_counted(answers),
        compared=compared,
        differ=apart,
        examples=tuple(examples),
    )


def _counted(found: Counter[str]) -> dict[str, int]:
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
