"""How instruction data is made: three paradigms, each with its own section."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.base import Section
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.rationales import RationalesSection
from tutelage.recipe.sources import Source
from tutelage.recipe.teacher import ModelTeacher as ModelTeacher
from tutelage.recipe.teacher import SelfTeacher as SelfTeacher
from tutelage.recipe.teacher import Teacher


class ExpertSection(Section):
    """Demonstrations that people wrote."""

    per_cell: int | None = Field(default=None, ge=0)
    """At most this many rows a cell become training rows; null takes all."""

    repeat: int = Field(default=1, ge=1)
    """How often each expert row is seen in an epoch."""

    wordings: int = Field(default=1, ge=1)
    """Requests under which each expert answer is learned, where its task can ask for it in other words (templates, as
    in FLAN, Wei et al. 2022); 1 keeps to the one that the expert answered."""


class DistillSection(Section):
    """Answers of a teacher that sees expert demonstrations; only those that pass their check are kept."""

    teacher: Teacher = SelfTeacher(kind="self")
    """Who answers."""

    share: float = Field(default=0.5, ge=0, le=1)
    """Share of a round's prompts that go to the teacher; the rest become lessons of the student. Where
    ``self_improve`` is null all of them go to the teacher."""

    shots: int = Field(default=4, ge=0)
    """Demonstrations in the teacher's prompt: those nearest to the item."""

    samples: int = Field(default=4, ge=1)
    """Answers a prompt."""

    rationales: RationalesSection | None = None
    """Reasons that the teacher gives before its answers, to be learned with them; null asks for answers alone."""

    top_logprobs: int | None = Field(default=None, ge=1, le=20)
    """So many of the likeliest tokens in the place of each that the teacher writes are kept beside its answers, for
    ``tune.objective: {kind: kd_answers}``; of endpoints that say them. Most allow 20 or fewer."""


class SelfImproveSection(Section):
    """Lessons: attempt → verdict with reason → critique → revision → verdict."""

    samples: int = Field(default=4, ge=1)
    """Attempts a prompt."""

    revisions: int = Field(default=2, ge=0)
    """Revisions sampled after the critique where no attempt passed."""

    critic: Literal["check", "teacher"] = "check"
    """Who tells the student what is wrong with its failed attempt: ``check``, the reason of the check as it is, or
    ``teacher``, who is shown the task, the attempt and that reason, and says how to put it right without giving the
    answer. What it gives away is not used."""

    drafts: int = Field(default=2, ge=0)
    """Answers to the plain request, to be mended, where no attempt or revision passed or could be (``mend``)."""

    teacher_fallback: bool | None = None
    """Whether the teacher answers where neither attempt nor revision passes; null: yes, if there is a teacher."""


class RehearsalSection(Section):
    """General instructions answered by the starting model, so that narrow rows do not undo general behavior."""

    prompts: int = Field(default=48, ge=1)
    """General instructions a round, of those that come with the package."""

    samples: int = Field(default=2, ge=1)
    """Answers a prompt; the first that ends properly and repeats nothing becomes a row."""


class ConstructSection(Section):
    """The data of a round."""

    expert: ExpertSection | None = ExpertSection()
    """Expert annotation; null leaves it out (the teacher's prompt then has no demonstrations either)."""

    distill: DistillSection | None = DistillSection()
    """Distillation; null leaves it out."""

    self_improve: SelfImproveSection | None = SelfImproveSection()
    """Self-improvement; null leaves it out."""

    rehearsal: RehearsalSection | None = RehearsalSection()
    """Rows that keep what the start can do; null leaves them out."""

    sources: tuple[Source, ...] = ()
    """Where more rows come from than from the items of tasks; who writes them is the teacher (``distill.teacher``), or
    the student where a source says so."""

    judge: JudgeSection | None = None
    """A model that judges answers where no program can, or chooses among those that passed; null: nobody does."""

    prompts: int = Field(default=240, ge=1)
    """New prompts a round, spread over the cells by the planner."""

    keep_per_prompt: int = Field(default=1, ge=1)
    """Different passing answers kept for one prompt."""

    temperature: float = Field(default=0.5, gt=0)
    """Sampling temperature of attempts, revisions and the teacher."""

    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus of the sampling."""

    max_tokens: int = Field(default=192, ge=1)
    """Longest answer, in tokens; an answer that is cut is not kept (unless nothing is verified)."""

    decompose: bool = True
    """Whether an answer that meets only some of an item's demands, where none meets all, becomes a row for the item
    that asks for just those."""

    mend: bool = True
    """Whether a draft is edited by its task's own program, where nobody met all of an item's demands and the task has
    one. It adds form (a closing sentence, bullets, capitals), never content, and the check judges the result."""

    references: bool = True
    """Whether the reference of an item is learned where it has one and no answer met it. Needs ``expert``."""

    verify: bool = True
    """Whether only answers that pass their check are kept. False makes the round a placebo, as a control: every answer
    with words in it is kept, cut ones too, for proper ends alone are worth something."""
