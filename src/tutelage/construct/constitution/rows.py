"""Cases as rows, and as preferences where a check or a judge says that the revision is the better answer."""

from dataclasses import dataclass

from tutelage.construct.constitution.steps import CRITIQUE, REVISION, Case
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Sample, Sampler, failed_its_check
from tutelage.records import Example, Paradigm, Preference, Verdict

SOURCE = "constitution"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote: the student its first answer, ``critic`` the revisions, of ``paradigm``; and how many steps there
    were."""

    sampler: Sampler
    student: str
    critic: str
    paradigm: Paradigm
    steps: int

    def row(self, case: Case, verdict: Verdict) -> Example:
        """Return the row of a case: the prompt and the last answer. An answer without fault is the student's own.

        Its cost is all that was asked for it, critiques and first answer included.
        """
        own = not case.revised
        row = self.sampler.example(
            Sample(case.given.item, case.current, verdict),
            paradigm="self" if own else self.paradigm,
            source=SOURCE,
            author=self.student if own else self.critic,
            spent=case.replies,
            prompt=" ".join(version(name) for name in ((CRITIQUE,) if own else (CRITIQUE, REVISION))),
            parents=[one for one in dict.fromkeys(case.parents) if one != case.current.request_id],
        )
        principles = tuple(one.version for one in case.principles[: self.steps])
        lineage = row.lineage.model_copy(update={"principles": principles})
        return row.model_copy(update={"level": case.given.level, "lineage": lineage})

    def pair(self, row: Example, case: Case, last: Verdict, first: Verdict) -> Preference | None:
        """Return the row's answer and the student's first one as a pair, if the check failed the first and passed the
        last, or a judge puts them far enough apart; None: nobody has said that the revision is better."""
        item = case.given.item
        before, after = Sample(item, case.first, first), Sample(item, case.current, last)
        if last.judge is None and last.passed and failed_its_check(before) and case.first.ended:
            return self.sampler.preference(row, before)
        return self.sampler.judged_preference(row, [after], [before])
