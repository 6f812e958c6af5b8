"""A model that judges answers to train items where no program can, and chooses among several that passed."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tutelage.recipe.base import Section
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.teacher import Teacher

CRITERIA = {
    "request": "It does what the request asks, all of it, in the form that is asked for.",
    "truth": "What it says is right; where an expert's answer is shown, the two agree in what matters.",
    "use": "It says what the reader needs to know and leaves out what is beside the point.",
    "clarity": "It is well ordered, in whole sentences, and repeats nothing.",
}
MOST_CRITERIA = 12


class JudgeSection(Section):
    """A model as judge of answers to train items, by a rubric. It never overrules a program: what failed its check
    stays failed. It never scores an item of probe, gate or test. What it spends counts under a ceiling of its own."""

    by: Teacher
    """Who judges. ``self`` is the starting model, the same judge in every round."""

    unchecked: bool = True
    """Whether it scores answers of which no program can say anything (rows without a check), so that those good enough
    are kept. Without it none of them is, and no row without a check is asked."""

    threshold: float = Field(default=0.75, gt=0, le=1)
    """Lowest score, from 0 to 1, with which such an answer is kept: at a scale of 5, 0.75 is a 4."""

    best_of: Literal["pointwise", "pairwise"] | None = None
    """How the best of several answers to one item is chosen, of those that passed: by a score for each (n requests for
    n answers), or by comparing every two in both orders, where a verdict that changes with the order is a tie (n(n−1)
    requests). null: the one that repeats itself least, or has the highest score where a judge gave one."""

    candidates: int = Field(default=4, ge=2)
    """At most so many answers to one item are compared: those that repeat themselves least."""

    criteria: dict[str, str] = Field(default=CRITERIA)
    """What is judged: a name of letters, digits and underscores, and what it asks."""

    scale: int = Field(default=5, ge=2, le=100)
    """Each criterion is scored from 1 to this."""

    combine: Literal["lowest", "mean"] = "lowest"
    """One score of several criteria, placed from 0 to 1: that of the weakest, or their mean."""

    references: bool = True
    """Whether the judge is shown an item's reference, where it has one."""

    preference_margin: float | None = Field(default=0.25, gt=0, le=1)
    """The best and the worst judged answer to an item become a preference where their scores lie at least so far apart
    and no pair of a passed and a failed answer is there; null: never."""

    max_tokens: int = Field(default=512, ge=1)
    """Longest reply of the judge, in tokens."""

    retries: int = Field(default=1, ge=0)
    """How often a reply that cannot be read is asked for again."""

    @model_validator(mode="after")
    def _has_something_to_do(self) -> Self:
        if not self.unchecked and self.best_of is None:
            raise PydanticCustomError(
                "judge", "the judge has nothing to do", {"remedy": "set unchecked: true, or best_of, or judge: null"}
            )
        return self

    @model_validator(mode="after")
    def _is_one_model(self) -> Self:
        if isinstance(self.by, EndpointTeacher) and self.by.fallback:
            raise PydanticCustomError(
                "judge",
                "a judge is one model: scores of another one cannot be set beside its own",
                {"remedy": "leave by.fallback out"},
            )
        return self

    @model_validator(mode="after")
    def _criteria_have_names(self) -> Self:
        bad = [name for name in self.criteria if not (name.isidentifier() and name.isascii() and len(name) <= 40)]
        bad += [name for name, asks in self.criteria.items() if not asks.strip()]
        if bad or not 1 <= len(self.criteria) <= MOST_CRITERIA:
            raise PydanticCustomError(
                "criteria",
                "criteria: {found}",
                {
                    "found": f"{', '.join(map(repr, bad))} cannot be used"
                    if bad
                    else f"{len(self.criteria)} are given",
                    "remedy": f"give 1 to {MOST_CRITERIA}, each a name of letters, digits and _, and what it asks",
                },
            )
        return self
