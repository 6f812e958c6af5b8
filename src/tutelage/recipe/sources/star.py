"""STaR as a source of rows: which items, which reasons are shown, how wrong answers are given reasons."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.sources.base import SourceSection


class StarSource(SourceSection):
    """Reasons that the student writes itself (STaR, Zelikman et al. 2022): it is shown some questions with reasons and
    answers, and answers train items in the same way. What its task's check finds right is learned with its reasons;
    where it was wrong it is told the known answer and gives reasons for that one."""

    kind: Literal["star"]

    demonstrations: str = Field(min_length=1)
    """A file of questions with reasons, JSON Lines of {prompt, reasoning, answer}, relative to the recipe; all are
    shown in each request (the paper has ten). Write them in the manner in which the student is to reason."""

    items: int = Field(default=64, ge=1)
    """Train items a round, as many of each task and level. Those without a check are left out."""

    tasks: tuple[str, ...] | None = None
    """Names of the recipe's tasks that are asked; null: all of them."""

    samples: int = Field(default=1, ge=1)
    """Answers to each item, of which the first that is right is kept."""

    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature of reasons and answers: greedy, unless several are sampled."""

    rationalize: bool = True
    """Whether items that were answered wrong are asked again with the known answer as a hint, where there is one. The
    row has no hint."""

    place: Literal["answer", "reasoning"] = "answer"
    """Where the row has the reasons. ``answer``: as text before the answer, as in the paper; both together must then
    pass the check too. ``reasoning``: in the field that the student's chat template writes before the answer; a
    template that has none is refused."""

    max_words: int = Field(default=120, ge=4)
    """Longest reasons, in words; of scripts without spaces, ten characters a word."""

    max_tokens: int = Field(default=512, ge=32)
    """Longest reply, in tokens: reasons, answer and the JSON around them."""

    retries: int = Field(default=0, ge=0)
    """How often is asked again at once where a reply cannot be used, with what was wrong."""

    @property
    def taught(self) -> bool:
        """The student writes for itself."""
        return False

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.temperature:
            raise ValueError(f"samples: all {self.samples} would be the same at temperature 0; raise it, or take 1")
        if self.tasks is not None and (not self.tasks or len(set(self.tasks)) < len(self.tasks)):
            raise ValueError("tasks: name one or more, each once")
        return self
