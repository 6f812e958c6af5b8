"""What a teacher behind an endpoint would be asked for and what it would cost, before anything is sent."""

from collections.abc import Sequence

from tutelage.completers.spending import Tariff, Tokens
from tutelage.recipe.endpoint import Ceiling, EndpointTeacher
from tutelage.records import Record


class Teaching(Record):
    """Answers and tokens of a teacher over the whole run, rough; ``money`` is None where no price is given.

    ``money_at_most`` is what as many answers cost if each is as long as ``max_tokens``. ``words`` say it all.
    """

    answers: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    money_at_most: float | None
    words: tuple[str, ...]


def estimate_teaching(teacher: EndpointTeacher, asked: Sequence[tuple[int, float, float, int]]) -> Teaching:
    """Return what ``teacher`` would cost. Of each kind of question it is ``asked``: how many answers, the mean tokens
    of a prompt and of an answer, the most of an answer."""
    answers = sum(count for count, *_ in asked)
    expected = Tokens(
        sum(round(count * max(0.0, prompt)) for count, prompt, _, _ in asked),
        sum(round(count * answer) for count, _, answer, _ in asked),
    )
    longest = Tokens(expected.prompt, sum(count * most for count, _, _, most in asked))
    price = teacher.price
    tariff = None if price is None else Tariff(price.prompt, price.completion)
    money = None if tariff is None else tariff.money(expected)
    at_most = None if tariff is None else tariff.money(longest)
    words = [
        f"{teacher.model} is asked for about {answers:,} answers: {expected.prompt:,} tokens of prompts and "
        f"{expected.completion:,} of answers."
    ]
    if money is None:
        words.append("No price is given (teacher.price), so what it costs is not known.")
    else:
        words.append(f"That costs about {money:,.2f}; {at_most:,.2f} if every answer were as long as it may be.")
    words.append(_ceiling(teacher.ceiling, expected, money))
    return Teaching(
        answers=answers,
        prompt_tokens=expected.prompt,
        completion_tokens=expected.completion,
        money=None if money is None else round(money, 4),
        money_at_most=None if at_most is None else round(at_most, 4),
        words=tuple(words),
    )


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
