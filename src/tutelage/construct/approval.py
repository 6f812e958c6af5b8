"""Whether what somebody wrote may be learned: by the check of its task, else by the judge, else by its form alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tutelage.construct.given import Given
from tutelage.construct.instructions.form import form_verdict, told_language
from tutelage.construct.judged import Bench, Heard
from tutelage.construct.sampling import Sampler
from tutelage.records import Answer, Verdict
from tutelage.records.instructions import Order
from tutelage.records.judging import Judging
from tutelage.text.languages import NAMES

FALLBACK = "en"


@dataclass(frozen=True, slots=True)
class Written:
    """An answer to a prompt."""

    given: Given
    answer: Answer


def form_of_answer(one: Written) -> Verdict:
    """Return 0 where the form of an answer is wrong: cut off, going round in circles, an echo, in another language than
    the prompt; else no score.

    The prompt of a task may ask for another language, and its check sees to that. Where the language of a prompt cannot
    be told, that of the answer is taken as it is.
    """
    item = one.given.item
    language = "" if one.given.checked else told_language(item.prompt)
    language = language or told_language(one.answer.text)
    order = Order(
        id=item.id, dimension=item.dimension, level=item.level, language=language if language in NAMES else FALLBACK
    )
    return form_verdict(one.answer, order, request=item.prompt)


@dataclass(slots=True)
class Approval:
    """Who approves in a round: the checks of the tasks and the judge, if there is one; ``judging`` is what it took."""

    sampler: Sampler
    folder: Path
    judging: Judging = field(default_factory=Judging)

    @property
    def scores(self) -> bool:
        """Whether a judge scores what no program can check."""
        return self.sampler.bench is not None and self.sampler.bench.section.unchecked

    def verdicts(self, label: str, written: Sequence[Written]) -> list[Verdict]:
        """Return what is said of each answer: that its form is wrong, else the check's verdict, else the judge's.

        Raises what :meth:`Bench.score` raises.
        """
        heard = [Heard(one.given.item, one.answer, form_of_answer(one)) for one in written]
        asked = [at for at, one in enumerate(written) if one.given.checked and heard[at].verdict.score is None]
        checked = self.sampler.check([heard[at].item for at in asked], [heard[at].answer for at in asked])
        for at, sample in zip(asked, checked, strict=True):
            if sample.verdict.score is not None:
                heard[at] = replace(heard[at], verdict=sample.verdict)
        bench = self._bench()
        if bench is None:
            return [one.verdict for one in heard]
        verdicts, took = bench.score(label, heard)
        self.judging = self.judging.plus(took)
        return verdicts

    def passes(self, verdict: Verdict) -> bool:
        """Whether a verdict is good enough: the check's if it passed, a judge's by its threshold; where nobody could
        judge it, a right form is enough, and its verdict says so."""
        if verdict.judge is not None:
            return self.sampler.bench is not None and self.sampler.bench.passes(verdict)
        if verdict.score is not None:
            return verdict.passed
        return not self.scores

    def why_not(self, verdict: Verdict) -> str:
        """Return why a verdict was not good enough: a reason to count by, and details."""
        if verdict.score is None:
            return f"the judge gave no score: {verdict.reason}"
        return f"the {'judge' if verdict.judge is not None else 'check'} does not pass it: {verdict.reason}"

    def _bench(self) -> Bench | None:
        bench = self.sampler.bench
        return None if bench is None else replace(bench, folder=self.folder)
