"""What never came: said once, and where an endpoint leaves out much, the stage stops instead of going on without it.

An error says nothing of the student, the teacher or the cell, so it counts in neither acceptance nor yield.
"""

from collections.abc import Sequence

from tutelage.errors import CompletionError
from tutelage.events import Emit, Event
from tutelage.records import Answer

MOST_LOST = 0.05
FEWEST_LOST = 3


def count_missing(answers: Sequence[Answer], *, label: str, emit: Emit) -> int:
    """Return how many of ``answers`` are errors, and emit a note that gives the first reason.

    Raises :class:`CompletionError` when more than 5 % of them, and at least 3, may come if they are asked again.
    Nothing is lost by it: the same command asks for these alone. What is refused for good, such as a prompt longer
    than the model reads, never stops a run.
    """
    missing = [answer for answer in answers if answer.finish == "error"]
    if not missing:
        return 0
    found = f"{len(missing):,} of {len(answers):,} answers did not come"
    lost = [answer for answer in missing if answer.transient]
    if len(lost) >= FEWEST_LOST and len(lost) > MOST_LOST * len(answers):
        raise CompletionError(
            found,
            where=label,
            received=lost[0].error,
            remedy="give the same command again: what came is kept, and only the rest is asked for",
        )
    text = f"{label}: {found} and count nowhere; the first: {missing[0].error or 'no reason was given'}"
    emit(Event("note", data={"text": text}))
    return len(missing)
