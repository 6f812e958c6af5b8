"""Reasons before answers, as a teacher is asked for them."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.base import Section


class RationalesSection(Section):
    """The teacher says what its answer follows from before it gives it, and the student learns both (Hsieh et al. 2023;
    Mukherjee et al. 2023). It is asked for JSON, and the check judges the answer alone."""

    place: Literal["reasoning", "answer"]
    """Where the row has the reasons. ``reasoning``: in the field that the student's chat template writes before the
    answer, and that is taken off before an answer is scored; a template that has none is refused. ``answer``: as text
    before the answer; both together must then pass the check too, since the student will be scored on both."""

    max_words: int = Field(default=120, ge=4)
    """Longest reasons, in words; of scripts without spaces, ten characters a word."""

    max_tokens: int = Field(default=512, ge=1)
    """Longest reply of the teacher, in tokens: reasons, answer and JSON; it stands for ``construct.max_tokens``."""

    retries: int = Field(default=1, ge=0)
    """How often the teacher is asked again for what it did not give, with what was wrong."""
