"""Asking for answers to items and checking them: what distillation and lessons share."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tutelage.completers.protocol import Completer
from tutelage.completers.replay import Spent, answer_all, seconds_of
from tutelage.construct.judged import Bench, Heard, rank_of
from tutelage.construct.missing import count_missing
from tutelage.events import Emit
from tutelage.recipe.construct import ConstructSection
from tutelage.records import (
    Answer,
    Conversation,
    Cost,
    Example,
    Item,
    Level,
    Lineage,
    Message,
    Paradigm,
    Preference,
    Request,
    Sampling,
    Verdict,
    assistant,
    content_id,
)
from tutelage.records.jsonl import RecordLog
from tutelage.records.judging import Judging
from tutelage.records.lineage import total
from tutelage.records.tradeoff import CellYield
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task
from tutelage.tasks.verdicts import checked


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to an item, with its verdict: its check's, or a judge's where the check has none.

    ``ranking`` is what a judge said of it beside others that passed too. ``rationale`` are the reasons that were given
    before it, where some were asked for; ``lost`` says why they and it cannot be used, whatever the check would say.
    """

    item: Item
    answer: Answer
    verdict: Verdict
    ranking: Verdict | None = None
    rationale: str = ""
    lost: str = ""


def failed_its_check(sample: Sample) -> bool:
    """Whether a program, and no judge, says that nothing in the answer is right."""
    return sample.verdict.score == 0 and sample.verdict.judge is None and not sample.lost


@dataclass(frozen=True, slots=True)
class Asker:
    """One who answers: how to open it, its name in lineage, whether to ask again for what it refused for good."""

    open: Callable[[], Completer]
    name: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run something happens: seed of the run, round, chunk of sampling, who listens.

    ``longest`` holds, by task, the longest answer in tokens where that is less than the section's ``max_tokens``;
    ``folder`` is what paths of the recipe are relative to.
    """

    seed: int
    round: int
    chunk: int
    emit: Emit
    longest: Mapping[str, int] = field(default_factory=dict)
    folder: Path = Path()


@dataclass(slots=True)
class Meter:
    """What one paradigm asked for: answers judged, what never came or could not be judged, tokens (None: unknown).

    ``seconds`` are also those of a process that was killed. ``judging`` is what a judge took, which
    is in none of the others.
    """

    answers: int = 0
    passed: int = 0
    errors: int = 0
    unjudged: int = 0
    tokens: int | None = 0
    seconds: float = 0.0
    judging: Judging | None = None


@dataclass(frozen=True, slots=True)
class Sampler:
    """Asks for several answers an item, replays what was asked before, and checks them."""

    folder: Path
    section: ConstructSection
    tasks: Mapping[str, Task]
    seed: int
    round: int
    chunk: int
    emit: Emit
    longest: Mapping[str, int] = field(default_factory=dict)
    meters: dict[Paradigm, Meter] = field(default_factory=dict)
    cells: dict[tuple[str, Level], CellYield] = field(default_factory=dict)
    bench: Bench | None = None

    def sampling(self, task: str = "", *, longest: int | None = None) -> Sampling:
        """How answers to a task are drawn; ``longest`` tokens, if that is given."""
        section = self.section
        if longest is None:
            longest = min(section.max_tokens, self.longest.get(task, section.max_tokens))
        return Sampling(temperature=section.temperature, top_p=section.top_p, max_tokens=longest)

    def ask(
        self,
        name: str,
        asker: Asker,
        prompts: Sequence[tuple[Item, Conversation]],
        *,
        samples: int,
        paradigm: Paradigm,
        together: Sequence[Hashable] | None = None,
    ) -> list[list[Sample]]:
        """Return ``samples`` checked answers for each of ``prompts``; they are logged as ``<name>.jsonl``.

        A prompt is the item and the whole conversation that asks it. Samples of one prompt stand side by side, so that
        engines can share its computation; ``together``, a key for each prompt, as in :func:`answer_all`. An answer that
        never came, or that its check could not judge, is no failed attempt: it counts neither for its cell nor in the
        share of accepted answers. Raises :class:`tutelage.errors.CompletionError` as :func:`count_missing`.
        """
        requests = self.requests(name, prompts, samples)
        if paradigm == "distill" and self.section.distill is not None and self.section.distill.top_logprobs is not None:
            wanted = self.section.distill.top_logprobs
            requests = [request.model_copy(update={"top_logprobs": wanted}) for request in requests]
        timing = RecordLog(self.folder / "timing.jsonl", Spent)
        answers = answer_all(
            asker.open,
            requests,
            log=RecordLog(self.folder / f"{name}.jsonl", Answer),
            chunk=self.chunk,
            together=None if together is None else [key for key in together for _ in range(samples)],
            emit=self.emit,
            label=name,
            timing=timing,
            again=asker.again,
        )
        found = self.check([item for item, _ in prompts for _ in range(samples)], answers)
        return self.weigh(name, found, per_item=samples, paradigm=paradigm, seconds=seconds_of(timing, name))

    def requests(
        self, name: str, prompts: Sequence[tuple[Item, Conversation]], samples: int, *, longest: int | None = None
    ) -> list[Request]:
        """Return ``samples`` requests for each of ``prompts``, side by side, each with its own seed; ``longest``: most
        tokens of an answer, where that is not what the section says."""
        return [
            Request(
                id=f"{item.id}/{name}/{number}",
                messages=messages,
                sampling=self.sampling(item.task, longest=longest),
                seed=derive_seed(self.seed, name, item.id, number),
            )
            for item, messages in prompts
            for number in range(samples)
        ]

    def weigh(
        self, name: str, found: list[Sample], *, per_item: int, paradigm: Paradigm, seconds: float
    ) -> list[list[Sample]]:
        """Return checked answers by item, ``per_item`` each, with what a judge says of them, and count them.

        ``seconds`` are those of all that was asked under this ``name``. Raises what :func:`count_missing` raises.
        """
        answers = [sample.answer for sample in found]
        errors = count_missing(answers, label=name, emit=self.emit)
        meter = self.meters.setdefault(paradigm, Meter())
        heard = self._heard(name, found, per_item, meter)
        judged = [sample for sample in heard if self.judges(sample)]
        meter.seconds += seconds
        meter.answers += len(judged)
        meter.errors += errors
        meter.unjudged += len(answers) - errors - len(judged)
        meter.tokens = total([meter.tokens, Cost.of(answers).completion_tokens])
        for sample in judged:
            meter.passed += int(self.accepts(sample))
            self.count(sample, attempted=1)
        return [heard[at : at + per_item] for at in range(0, len(heard), per_item)]

    def count(self, sample: Sample, *, attempted: int) -> None:
        """Count an answer for the yield of its cell; ``attempted`` 0: one that was counted before and then mended."""
        item, tokens = sample.item, sample.answer.completion_tokens
        count = CellYield(
            dimension=item.dimension,
            level=item.level,
            attempted=attempted,
            accepted=int(self.accepts(sample)),
            tokens=tokens if attempted else 0,
        )
        known = self.cells.get(item.cell)
        self.cells[item.cell] = known.plus(count) if known else count

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Sample]:
        """Return each answer with the verdict of its item's task."""
        verdicts: list[Verdict | None] = [None] * len(items)
        for name, task in self.tasks.items():
            places = [place for place, item in enumerate(items) if item.task == name]
            found = checked(task, [items[place] for place in places], [answers[place] for place in places])
            for place, verdict in zip(places, found, strict=True):
                verdicts[place] = verdict
        return [
            Sample(item, answer, verdict)
            for item, answer, verdict in zip(items, answers, verdicts, strict=True)
            if verdict is not None
        ]

    def _heard(self, name: str, samples: list[Sample], per_item: int, meter: Meter) -> list[Sample]:
        """Return ``samples`` with what the judge says of them, if there is one; ``per_item`` stand side by side."""
        if self.bench is None or not self.section.verify:
            return samples
        verdicts, scoring = self.bench.score(name, [Heard(one.item, one.answer, one.verdict) for one in samples])
        samples = [replace(one, verdict=verdict) for one, verdict in zip(samples, verdicts, strict=True)]
        passed = [
            [Heard(one.item, one.answer, one.verdict) for one in samples[at : at + per_item] if self.accepts(one)]
            for at in range(0, len(samples), per_item)
        ]
        rankings, ranking = self.bench.rank(name, passed)
        meter.judging = (meter.judging or Judging()).plus(scoring).plus(ranking)
        return [replace(one, ranking=rankings.get(one.answer.request_id)) for one in samples]

    def judges(self, sample: Sample) -> bool:
        """Whether the sample says anything of its cell: it came and, where answers are verified, it has a score."""
        return sample.answer.finish != "error" and (not self.section.verify or sample.verdict.score is not None)

    def accepts(self, sample: Sample) -> bool:
        """Whether the answer may be learned: the model ended it itself and it passed, its check or, where that says
        nothing, its judge; unverified, if it has words."""
        if sample.lost:
            return False
        if not self.section.verify:
            return bool(sample.answer.text.strip())
        by_judge = sample.verdict.judge is not None and self.bench is not None and self.bench.passes(sample.verdict)
        return sample.answer.ended and (sample.verdict.passed or by_judge)

    def accept(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return ``keep_per_prompt`` different accepted answers: those that a judge puts first, if one was asked, then
        those that repeat themselves least, then the first."""
        kept: dict[str, Sample] = {}
        for sample in sorted(samples, key=lambda one: rank_of((one.ranking, one.verdict), one.answer.text)):
            if self.accepts(sample):
                kept.setdefault(sample.answer.text.strip(), sample)
        return list(kept.values())[: self.section.keep_per_prompt]

    def turn(self, sample: Sample) -> Message:
        """Return the answer as it is learned: with the reasons that were given for it, where the section puts them."""
        text, reasons = sample.answer.text.strip(), sample.rationale
        wanted = None if self.section.distill is None else self.section.distill.rationales
        if not reasons or wanted is None:
            return assistant(text)
        if wanted.place == "answer":
            return assistant(f"{reasons}\n\n{text}")
        return assistant(text).model_copy(update={"reasoning": reasons})

    def example(
        self,
        sample: Sample,
        *,
        paradigm: Paradigm,
        source: str,
        author: str,
        spent: Sequence[Answer],
        prompt: str = "",
        parents: Sequence[str] = (),
    ) -> Example:
        """Return the training row of an accepted answer: the plain question and the answer, with its lineage.

        The author is who really answered, where the answer says it, else ``author``. ``spent`` are all answers that
        were sampled for it; their tokens are its cost. ``parents`` are what it stems
        from between its item and the answer.
        """
        item, text = sample.item, sample.answer.text.strip()
        reasons = (sample.rationale,) if sample.rationale else ()
        return Example(
            id=content_id(source, item.id, text, *reasons),
            messages=(*item.messages, self.turn(sample)),
            lineage=Lineage(
                paradigm=paradigm,
                source=source,
                author=sample.answer.by or author,
                parents=(item.id, *parents, sample.answer.request_id),
                prompt=prompt,
                sampling=self.sampling(item.task, longest=self._longest(paradigm)),
                seed=sample.answer.seed,
                round=self.round,
                verdicts=(*(() if sample.ranking is None else (sample.ranking,)), sample.verdict),
                cost=Cost.of(spent),
            ),
            task=item.task,
            dimension=item.dimension,
            level=item.level,
            facet=item.facet,
            group=item.group,
        )

    def _longest(self, paradigm: Paradigm) -> int | None:
        """Most tokens of a teacher's reply that holds reasons; None: it holds none."""
        wanted = None if self.section.distill is None else self.section.distill.rationales
        return wanted.max_tokens if paradigm == "distill" and wanted is not None else None

    def preference(self, chosen: Example, rejected: Sample) -> Preference:
        """Return the pair of a kept answer and one that failed its check."""
        turn = self.turn(rejected)
        return Preference(
            id=content_id("preference", chosen.id, turn.text),
            prompt=chosen.prompt,
            chosen=chosen.target,
            rejected=turn,
            lineage=chosen.lineage.model_copy(update={"parents": (chosen.id, rejected.answer.request_id)}),
            task=chosen.task,
            dimension=chosen.dimension,
            level=chosen.level,
        )

    def judged_preference(
        self, chosen: Example, samples: Sequence[Sample], others: Sequence[Sample]
    ) -> Preference | None:
        """Return the pair of the kept answer, one of ``samples``, and the one of ``others`` that a judge puts last.

        None without a judge, or where their scores lie nearer than ``preference_margin``; scores of one kind are
        compared, those for single answers before those from pairs.
        """
        margin = None if self.bench is None else self.bench.section.preference_margin
        best = next((one for one in samples if self.turn(one) == chosen.target), None)
        if margin is None or best is None:
            return None
        for prompt, top in _judged_scores(best).items():
            rivals = [
                (found[prompt].score or 0.0, one)
                for one in others
                if one.answer.ended and one.answer.text.strip() and prompt in (found := _judged_scores(one))
            ]
            score, worst = min(rivals, key=lambda pair: pair[0], default=(None, best))
            if score is not None and (top.score or 0.0) - score >= margin:
                pair = self.preference(chosen, worst)
                verdicts = (top, _judged_scores(worst)[prompt])
                lineage = pair.lineage.model_copy(update={"source": "judged", "verdicts": verdicts})
                return pair.model_copy(update={"lineage": lineage})
        return None


def _judged_scores(sample: Sample) -> dict[str, Verdict]:
    """The verdicts with a score that a judge gave, by the name of its prompt."""
    given = [one for one in (sample.verdict, sample.ranking) if one is not None and one.score is not None]
    return {one.judge.prompt: one for one in given if one.judge is not None}
