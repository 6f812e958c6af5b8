"""A model as a judge, and asking it: bounded tries, every reply logged before it counts, who answered pinned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tutelage.completers.protocol import Completer, say_refusal
from tutelage.completers.replay import OpenCompleter, Spent, answer_all, seconds_of
from tutelage.errors import CompletionError
from tutelage.events import Emit, silent
from tutelage.judging.prompts import render, version
from tutelage.judging.reading import FORM, Kind, Unreadable
from tutelage.judging.rubric import Rubric
from tutelage.records import (
    Answer,
    AnswerSchema,
    Cost,
    Engine,
    Item,
    Record,
    Request,
    Sampling,
    TextPart,
    content_id,
    user,
)
from tutelage.records.jsonl import RecordLog
from tutelage.records.judging import Judging
from tutelage.records.verdicts import JudgeIdentity

R = TypeVar("R")
BENCH = "judges.jsonl"
"""Who judged, in the folder of the replies."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judges, by which rubric, and how often a reply that cannot be read is asked for again.

    Greedy by default: a judge that gives two scores to one answer is no measure, unless the mean of several is taken.
    ``again``: whether what an endpoint refused for good is asked again. ``references``: whether an item's known answer
    is shown beside what is judged.
    """

    open: OpenCompleter
    name: str
    rubric: Rubric
    references: bool = True
    max_tokens: int = 512
    retries: int = 1
    again: bool = False
    temperature: float = 0.0
    top_p: float = 1.0

    @property
    def sampling(self) -> Sampling:
        """How its replies are drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)

    def identity(self, prompt: str, engine: Engine) -> JudgeIdentity:
        """Return who it is when ``engine`` answers under the template ``prompt``."""
        pinned = version(prompt, self.rubric.version, FORM, str(self.references))
        return JudgeIdentity(name=self.name, engine=engine, prompt=prompt, version=pinned, sampling=self.sampling)


@dataclass(frozen=True, slots=True)
class Court:
    """Where replies are logged, under which label, in chunks of which size, and who listens."""

    folder: Path
    label: str
    chunk: int = 64
    emit: Emit = silent


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer to be judged: its item and its text. ``id`` is its own among all that are judged together."""

    id: str
    item: Item
    text: str

    @property
    def is_text(self) -> bool:
        """Whether all of the request can be shown to a judge that reads."""
        return all(isinstance(part, TextPart) for message in self.item.messages for part in message.content)


@dataclass(frozen=True, slots=True)
class Question(Generic[R]):
    """What a judge is asked: an id, what fills the template, the schema of its reply, and how that is read.

    ``read`` raises :class:`tutelage.judging.reading.Unreadable`. The schema is for servers that hold a model to one;
    the form is asked for in words all the same, and read as strictly. ``seed`` is that of a judge that draws.
    """

    id: str
    values: dict[str, object]
    schema: AnswerSchema
    read: Callable[[Answer], R]
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Ruling(Generic[R]):
    """How a question ended: what was read, or the kind and the reason of its being unscored; and who judged."""

    value: R | None
    kind: Kind | None
    why: str
    judge: JudgeIdentity | None


@dataclass(frozen=True, slots=True)
class Rulings(Generic[R]):
    """The rulings on all questions, in order, every reply that was taken into account, and the seconds it took."""

    rulings: list[Ruling[R]]
    replies: list[Answer]
    seconds: float

    def judging(self, *, judged: int, unscored: int) -> Judging:
        """Return what it took, for ``judged`` answers or pairs of which ``unscored`` got no verdict."""
        cost = Cost.of(self.replies)
        return Judging(
            judged=judged,
            unscored=unscored,
            requests=len(self.replies),
            prompt_tokens=cost.prompt_tokens,
            completion_tokens=cost.completion_tokens,
            seconds=round(self.seconds, 3),
            money=cost.money,
        )


class Seated(Record):
    """Who judged from the reply number ``after`` of a label's log on."""

    label: str
    after: int
    engine: Engine


def ask_judge(judge: Judge, questions: Sequence[Question[R]], *, prompt: str, court: Court) -> Rulings[R]:
    """Return a ruling for each of ``questions``, asked under the template ``prompt``.

    A reply that cannot be read is asked for again, at most ``judge.retries`` times, with a note that it could not be.
    What stands in the log (``<label>.jsonl``) is read and not asked again, so that another reader reads it anew; a
    request that an endpoint could not take is not tried under other words. Raises :class:`CompletionError` as
    :func:`answer_all` does.
    """
    bench = _Bench(judge, court)
    ended: dict[str, Ruling[R]] = {}
    replies: list[Answer] = []
    seconds = 0.0
    waiting = list(questions)
    for again in range(judge.retries + 1):
        if not waiting:
            break
        label = court.label if not again else f"{court.label}, try {again + 1}"
        answers = bench.answers(waiting, prompt=prompt, again=again, label=label)
        replies += answers
        seconds += seconds_of(bench.timing, label)
        for question, answer in zip(waiting, answers, strict=True):
            identity = judge.identity(prompt, bench.engine_of(answer))
            try:
                ended[question.id] = Ruling(question.read(answer), None, "", identity)
            except Unreadable as fault:
                ended[question.id] = Ruling(None, fault.kind, fault.why, identity)
        waiting = [question for question in waiting if ended[question.id].kind not in (None, "never came")]
    return Rulings([ended[question.id] for question in questions], replies, seconds)


class _Bench:
    """The log of replies under one label, and which engine gave each."""

    def __init__(self, judge: Judge, court: Court) -> None:
        self.judge, self.court = judge, court
        self.log = RecordLog(court.folder / f"{court.label}.jsonl", Answer)
        self.timing = RecordLog(court.folder / "timing.jsonl", Spent)
        self._seats = RecordLog(court.folder / BENCH, Seated)
        self._engines: dict[tuple[str, str], Engine] = {}
        self._opened: Completer | None = None
        self._told = False

    def answers(self, questions: Sequence[Question[R]], *, prompt: str, again: int, label: str) -> list[Answer]:
        """Return the replies to ``questions``, of which each is try number ``again`` + 1."""
        requests = [
            Request(
                id=f"{question.id}/{prompt}/{again}",
                messages=(user(render(prompt, **question.values, again=again)),),
                sampling=self.judge.sampling,
                seed=question.seed,
                answer_schema=question.schema,
            )
            for question in questions
        ]
        found = answer_all(
            self._open,
            requests,
            log=self.log,
            chunk=self.court.chunk,
            emit=self.court.emit,
            label=label,
            timing=self.timing,
            again=self.judge.again,
        )
        self._engines = self._who()
        if self._opened is not None and not self._told:
            emit = self.court.emit
            self._told = say_refusal(self._opened, questions[0].schema, label=self.court.label, emit=emit)
        return found

    def engine_of(self, reply: Answer) -> Engine:
        """Return who gave a reply."""
        return self._engines[reply.request_id, reply.request]

    def _open(self) -> Completer:
        """Open the judge, and write down who it is before it is asked."""
        completer = self._opened = self.judge.open()
        seated = [seat for seat in self._seats.load() if seat.label == self.court.label]
        if not seated or seated[-1].engine != completer.engine:
            there = len(self.log.load())
            self._seats.append(Seated(label=self.court.label, after=there, engine=completer.engine))
        return completer

    def _who(self) -> dict[tuple[str, str], Engine]:
        """The engine of every reply of the log: of two replies to one request the last counts, as elsewhere."""
        seats = [seat for seat in self._seats.load() if seat.label == self.court.label]
        found: dict[tuple[str, str], Engine] = {}
        for number, reply in enumerate(self.log.load()):
            there = [seat for seat in seats if seat.after <= number]
            if not there:
                raise CompletionError(
                    "nobody knows who gave this verdict",
                    where=str(self.log.path),
                    received=f"line {number + 1}, and {BENCH} beside it names nobody for it",
                    remedy=f"bring {BENCH} back, or delete both files to have it judged again",
                )
            found[reply.request_id, reply.request] = there[-1].engine
        return found


def shown(one: Judged, judge: Judge) -> dict[str, object]:
    """Return what fills a template about the item of ``one``: its turns, and its reference where it may be shown."""
    reference = one.item.reference if judge.references else None
    turns = [{"role": message.role, "text": message.text} for message in one.item.messages]
    return {"turns": turns, "reference": (reference or "").strip()}


def texts_of(values: dict[str, object]) -> list[str]:
    """Return all texts that others wrote among the values of :func:`shown`."""
    turns = values["turns"]
    assert isinstance(turns, list)
    return [*(turn["text"] for turn in turns), str(values["reference"])]


def pair_id(first: Judged, second: Judged) -> str:
    """Return the id of a pair in the order in which it is shown."""
    return f"{content_id(first.id, second.id)}/{first.id}"
