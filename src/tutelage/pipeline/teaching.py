"""What a teacher behind an endpoint would be asked for and what it would cost, before anything is sent."""

from collections.abc import Sequence
from typing import NamedTuple

from tutelage.completers.endpoints.address import endpoint_name
from tutelage.completers.endpoints.spending import Tariff, Tokens
from tutelage.recipe.endpoint import Ceiling, Endpoint, EndpointTeacher
from tutelage.records import Record


class Teaching(Record):
    """Answers and tokens of a teacher over the whole run, rough; ``money`` is None where no price is given.

    ``money`` is what the first endpoint takes if it answers everything, ``money_at_most`` what the dearest one takes if
    each answer is as long as ``max_tokens``; None where a price is not known. ``words`` say it all.
    """

    answers: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    money_at_most: float | None
    words: tuple[str, ...]


class Asked(NamedTuple):
    """Questions of one kind: how many ``answers``, mean tokens of a ``prompt`` and of an ``answer``, the ``most``."""

    answers: int
    prompt: float
    answer: float
    most: int


def estimate_teaching(teacher: EndpointTeacher, asked: Sequence[Asked], *, media: Sequence[str] = ()) -> Teaching:
    """Return what ``teacher`` would cost that is ``asked`` such questions.

    ``media`` names what prompts hold beside text: how many tokens that is, only the endpoint knows.
    """
    answers = sum(kind.answers for kind in asked)
    expected = Tokens(
        sum(round(kind.answers * max(0.0, kind.prompt)) for kind in asked),
        sum(round(kind.answers * kind.answer) for kind in asked),
    )
    longest = Tokens(expected.prompt, sum(kind.answers * kind.most for kind in asked))
    costs = [_money(endpoint, expected) for endpoint in teacher.endpoints]
    highest = [_money(endpoint, longest) for endpoint in teacher.endpoints]
    known = [money for money in highest if money is not None]
    at_most = max(known) if len(known) == len(highest) else None
    words = [
        f"{teacher.model} is asked for about {answers:,} answers: {expected.prompt:,} tokens of prompts and "
        f"{expected.completion:,} of answers."
    ]
    if costs[0] is None or highest[0] is None:
        words.append("No price is given (teacher.price), so what it costs is not known.")
    else:
        words.append(f"That costs about {costs[0]:,.2f}; {highest[0]:,.2f} if every answer were as long as it may be.")
    for index, endpoint in enumerate(teacher.fallback):
        words.append(_other(endpoint, f"teacher.fallback.{index}.price", costs[index + 1], highest[index + 1]))
    if media:
        words.append(f"What the {' and the '.join(media)} of the prompts take comes on top: it is not known before.")
    if teacher.fallback:
        words.append("What one refuses or gives up on is paid there too, as far as it takes money for it.")
    words.append(_ceiling(teacher.ceiling, expected, costs[0]))
    return Teaching(
        answers=answers,
        prompt_tokens=expected.prompt,
        completion_tokens=expected.completion,
        money=None if costs[0] is None else round(costs[0], 4),
        money_at_most=None if at_most is None else round(at_most, 4),
        words=tuple(words),
    )


def _money(endpoint: Endpoint, tokens: Tokens) -> float | None:
    price = endpoint.price
    return None if price is None else Tariff(price.prompt, price.completion).money(tokens)


def _other(endpoint: Endpoint, place: str, cost: float | None, highest: float | None) -> str:
    name = endpoint_name(endpoint.model, endpoint.base_url)
    if cost is None or highest is None:
        return f"If {name} had to answer everything, nobody knows what it would cost: no price is given ({place})."
    return f"If {name} had to answer everything, it would cost about {cost:,.2f}; {highest:,.2f} at its longest."


def _ceiling(ceiling: Ceiling | None, expected: Tokens, money: float | None) -> str:
    if ceiling is None or ceiling == Ceiling():
        return "Nothing limits what is spent (teacher.ceiling)."
    parts = [f"{ceiling.money:,.2f} in money"] if ceiling.money is not None else []
    parts += [f"{ceiling.tokens:,} tokens"] if ceiling.tokens is not None else []
    parts += [f"{ceiling.hours:g} hours"] if ceiling.hours is not None else []
    said = f"The ceiling is {' and '.join(parts)}"
    low = (ceiling.money is not None and money is not None and money > ceiling.money) or (
        ceiling.tokens is not None and expected.all > ceiling.tokens
    )
    return said + (": it will probably stop the run before it is done." if low else ".")
