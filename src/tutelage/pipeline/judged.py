"""A recipe's judge, seen from the whole run: which rows it makes worth asking, what it is shown, what it would cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tutelage.completers.endpoints.address import is_loopback, public_address
from tutelage.completers.endpoints.spending import Tariff, Tokens
from tutelage.judging.prompts import source
from tutelage.pipeline.disclosure import HERE
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN
from tutelage.pipeline.ordered import READ_TOKENS, READING_TOKENS, Beside
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.sources import DocumentsSource, StarSource, TemplatesSource
from tutelage.recipe.teacher import ModelTeacher, SelfTeacher
from tutelage.records import Record
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked

REASON_TOKENS = 40
"""Of one reason with its score."""


class JudgingEstimate(Record):
    """What a judge would be asked for over the whole run, rough; ``money`` is None where no price is known, ``own``
    whether the judge is the starting model."""

    answers: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    own: bool
    what: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What a round samples: prompts for the teacher and for lessons, ``failing`` of these; mean tokens of a row and of
    an answer; rounds. ``beside`` is what sources have judged in each round of the run."""

    for_teacher: float
    for_lessons: float
    failing: float
    row_tokens: float
    answer_tokens: float
    rounds: int
    beside: tuple[Beside, ...] = ()

    def groups(self, section: ConstructSection) -> list[tuple[float, int]]:
        """Return numbers of prompts, each with the answers that a prompt of them gets at once."""
        found: list[tuple[float, int]] = []
        if section.distill is not None:
            found.append((self.for_teacher, section.distill.samples))
        if (lessons := section.self_improve) is not None:
            found += [(self.for_lessons, lessons.samples), (self.failing, lessons.revisions)]
            if section.distill is not None and lessons.teacher_fallback is not False:
                found.append((self.failing, lessons.samples))
        return found


def with_judge(recipe: Recipe, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Return ``tasks``; those of rows also ask train rows without a check where the recipe has a judge for these."""
    judge = recipe.construct.judge
    if judge is None or not judge.unchecked:
        return dict(tasks)
    return {name: task.judged() if isinstance(task, RowsTask) else task for name, task in tasks.items()}


def judge_notes(recipe: Recipe) -> tuple[str, ...]:
    """Return what must be said of the choice of the judge: that it judges answers of its own."""
    judge, distill = recipe.construct.judge, recipe.construct.distill
    if judge is None:
        return ()
    prefers = "models tend to prefer what they wrote themselves, so read some of what it kept"
    if isinstance(judge.by, SelfTeacher):
        return (f"The judge is the starting model, of which the student is made: {prefers}.",)
    if isinstance(judge.by, ModelTeacher) and judge.by.id == recipe.model.id:
        return (f"The judge is the starting model, of which the student is made: {prefers}.",)
    if distill is not None and who(judge.by) == who(distill.teacher):
        return (f"The judge is the teacher, and judges its own answers: {prefers}.",)
    return ()


def who(one: SelfTeacher | ModelTeacher | EndpointTeacher) -> tuple[str, ...]:
    """Return what tells one model from another."""
    match one:
        case SelfTeacher():
            return ("self",)
        case ModelTeacher(id=model, revision=revision):
            return ("model", model, revision or "")
        case EndpointTeacher(base_url=url, model=model):
            return ("endpoint", url.rstrip("/"), model)


def with_the_judge(recipe: Recipe, sees: Sequence[str], prompts: int) -> tuple[str, ...]:
    """Return who sees what, ``sees`` of all others and then what the judge is shown and what leaves for it."""
    judge = recipe.construct.judge
    texts = _texts_of_sources(recipe) if judge is not None else []
    if judge is None or not (prompts or texts):
        return tuple(sees)
    items = "train items, answers to them" + (", the experts' answers to them" if judge.references else "")
    shown = " and ".join([*([items] if prompts else []), *texts])
    never = "Items of probe, gate and test are never shown to it as the judge."
    notes = judge_notes(recipe)
    match judge.by:
        case SelfTeacher():
            return (f"The judge is the starting model; it sees {shown}. {never}", *notes, *sees)
        case ModelTeacher(id=model):
            return (f"The judge is {model}, run on this machine; it sees {shown}. {never}", *notes, *sees)
        case EndpointTeacher(base_url=url, model=model, allow_remote=allowed):
            also = ", also those of the student" if prompts else ""
            told = f"The judge is {model} at {public_address(url)}; it is sent {shown}{also}. {never}"
            host = urlsplit(url).hostname or url
            if is_loopback(host):
                return (told, *notes, *sees)
            refused = f"{host} is not this machine and allow_remote is false: the run will refuse to start."
            leaves = f"What the judge is sent leaves this machine for {host}." if allowed else refused
            return (told, *notes, *(said for said in sees if said != HERE), leaves)


def _texts_of_sources(recipe: Recipe) -> list[str]:
    """What a judge is shown of what sources of rows make, each kind once."""
    said = {
        "back_translation": "passages of documents with the requests that were written for them",
        "constitution": "prompts with the student's answers and their revisions",
        "reflection": "rows that are there already and what was made of them",
    }
    scores = recipe.construct.judge is not None and recipe.construct.judge.unchecked
    found: list[str] = []
    for one in recipe.construct.sources:
        if one.kind in said:
            found += [said[one.kind]] if scores else []
        elif not isinstance(one, DocumentsSource | StarSource | TemplatesSource):
            writer = "teacher" if one.taught else "student"
            found.append(f"requests that the {writer} wrote and its answers to them")
    return list(dict.fromkeys(found))


def estimate_judging(recipe: Recipe, tasks: Mapping[str, Task], load: Load) -> JudgingEstimate | None:
    """Return what the judge of ``recipe`` would be asked for; None without one."""
    judge = recipe.construct.judge
    if judge is None:
        return None
    share, groups = _unchecked(tasks) if judge.unchecked else 0.0, load.groups(recipe.construct)
    alone = share * sum(prompts * samples for prompts, samples in groups)
    compared = sum(prompts * _comparisons(judge, samples, share) for prompts, samples in groups)
    pairs = compared if judge.best_of == "pairwise" else 0.0
    singles = alone + (0.0 if judge.best_of == "pairwise" else compared)
    fixed = sum(map(len, judge.criteria.values()))
    prompt = singles * (load.row_tokens + load.answer_tokens + (len(source("pointwise")) + fixed) / CHARACTERS_A_TOKEN)
    prompt += pairs * (
        load.row_tokens + 2 * load.answer_tokens + (len(source("pairwise")) + fixed) / CHARACTERS_A_TOKEN
    )
    reply = min(judge.max_tokens, REASON_TOKENS * len(judge.criteria))
    written = singles * reply + pairs * min(judge.max_tokens, REASON_TOKENS)
    tokens = Tokens(round(prompt * load.rounds), round(written * load.rounds))
    answers = round((singles + pairs) * load.rounds)
    parts = [f"{round(alone):,} answers without a check"] if alone else []
    parts += [f"at most {round(compared):,} requests to choose the best"] if compared else []
    for beside in load.beside:
        more, spent, said = _of_source(judge, beside)
        answers += more * recipe.rounds
        tokens = Tokens(
            tokens.prompt + spent.prompt * recipe.rounds, tokens.completion + spent.completion * recipe.rounds
        )
        parts.append(said)
    price = judge.by.price if isinstance(judge.by, EndpointTeacher) else None
    money = None if price is None else round(Tariff(price.prompt, price.completion).money(tokens), 4)
    return JudgingEstimate(
        answers=answers,
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        money=money,
        own=isinstance(judge.by, SelfTeacher),
        what=f"a round: {' and '.join(parts)}" if parts else "nothing: every row has a check, and best_of is null",
        words=_words(judge, answers, tokens, money),
    )


def _of_source(judge: JudgeSection, beside: Beside) -> tuple[int, Tokens, str]:
    """What a source asks of the judge in a round: replies, tokens, and it in words."""
    answers = beside.prompts * beside.samples
    alone = answers if judge.unchecked else 0.0
    compared = beside.prompts * _comparisons(judge, beside.samples, 1.0 if judge.unchecked else 0.0)
    pairwise = judge.best_of == "pairwise"
    singles = alone + (0.0 if pairwise else compared)
    pairs = compared if pairwise else 0.0
    fixed = sum(map(len, judge.criteria.values()))
    one = beside.request_tokens + (len(source("pointwise")) + fixed) / CHARACTERS_A_TOKEN
    both = beside.request_tokens + beside.answer_tokens + (len(source("pairwise")) + fixed) / CHARACTERS_A_TOKEN
    reply = min(judge.max_tokens, REASON_TOKENS * len(judge.criteria))
    prompt = singles * (one + beside.answer_tokens) + pairs * (both + beside.answer_tokens)
    prompt += beside.read * (READING_TOKENS + beside.request_tokens)
    written = singles * reply + pairs * min(judge.max_tokens, REASON_TOKENS) + beside.read * READ_TOKENS
    words = [f"{round(singles + pairs):,} times about {beside.named}"] if singles + pairs else []
    words += [f"{round(beside.read):,} requests to read"] if beside.read else []
    return round(singles + pairs + beside.read), Tokens(round(prompt), round(written)), " and ".join(words)


def _unchecked(tasks: Mapping[str, Task]) -> float:
    """The share of train items without a check, over tasks: of a user's rows it is known, of others taken for none."""
    shares = []
    for task in tasks.values():
        rows = [item for item in task.all_items if item.split == "train"] if isinstance(task, RowsTask) else []
        shares.append(sum(not is_checked(item) for item in rows) / len(rows) if rows else 0.0)
    return sum(shares) / len(shares) if shares else 0.0


def _comparisons(judge: JudgeSection, samples: int, share: float) -> float:
    """Requests to choose among ``samples`` answers to one item if all of them pass."""
    number = min(samples, judge.candidates)
    if judge.best_of is None or number < 2:
        return 0.0
    return number * (number - 1) if judge.best_of == "pairwise" else number * (1 - share)


def _words(judge: JudgeSection, answers: int, tokens: Tokens, money: float | None) -> tuple[str, ...]:
    said = [
        f"The judge is asked about {answers:,} times: {tokens.prompt:,} tokens of prompts and {tokens.completion:,} of "
        "replies; more where a reply cannot be read."
    ]
    if isinstance(judge.by, EndpointTeacher):
        unknown = "No price is given (judge.by.price), so what it costs is not known."
        said.append(unknown if money is None else f"That costs about {money:,.2f}.")
        ceiling = judge.by.ceiling
        limits = {} if ceiling is None else ceiling.model_dump(exclude_none=True)
        limited = f"The ceiling of judging, apart from that of teaching, is {json.dumps(limits)[1:-1]}."
        said.append(limited if limits else "Nothing limits what is spent on judging (judge.by.ceiling).")
    return tuple(said)
