"""Jinja for the templates of a user's file: no way out, nothing drawn by chance, an end to every loop."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_ROUNDS = 10_000
"""Rounds of all loops, and calls of macros, in one text."""
MOST_CHARS = 1_000_000
"""Characters of one text; also the longest that a multiplication may make."""
MOST_BITS = 4_096
"""Bits of a number that a multiplication or a power may make."""
FAULTS = (
    jinja2.TemplateError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""What a template may fail with."""

_rounds: ContextVar[int] = ContextVar("rounds", default=0)


class Bounded(ImmutableSandboxedEnvironment):
    """A sandbox whose loops and macros are counted, and whose products are small."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            finalize=_no_function,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # a product of constants is refused by line when it is asked for, not when it is read
        )
        del self.filters["random"], self.globals["lipsum"]  # drawn by chance, which no seed repeats

    def count_round(self) -> str:
        """Count one round of a loop or call of a macro; every body begins with this. Raises ``SecurityError``."""
        done = _rounds.get() + 1
        if done > MOST_ROUNDS:
            raise SecurityError(f"its loops have more than {MOST_ROUNDS:,} rounds")
        _rounds.set(done)
        return ""

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Return a product or a power. Raises ``SecurityError`` where it is too large."""
        if operator == "**":
            bits = _bits(left) * (abs(right) if isinstance(right, int) else 1)
            limit, what = MOST_BITS, "a number"
        elif all(isinstance(one, int) for one in (left, right)):
            bits, limit, what = _bits(left) + _bits(right), MOST_BITS, "a number"
        else:
            bits, limit, what = _size(left) * _size(right), MOST_CHARS, "a text or list"
        if bits > limit:
            raise SecurityError(f"{operator} makes {what} that is too large")
        return super().call_binop(context, operator, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        loops = list(tree.find_all(nodes.For))
        for loop in loops:
            if loop.test is not None:
                loop.test = nodes.And(nodes.Not(_counted()), loop.test)
        bodies: list[nodes.For | nodes.Macro | nodes.CallBlock] = [
            *loops,
            *tree.find_all(nodes.Macro),
            *tree.find_all(nodes.CallBlock),
        ]
        for node in bodies:
            node.body.insert(0, nodes.Output([_counted()]))
            node.set_lineno(node.lineno)
        tree.set_environment(self)
        return tree


def rendered(template: jinja2.Template, values: Mapping[str, object]) -> str:
    """Return the text of a template without white space around it. Raises what is in :data:`FAULTS`."""
    _rounds.set(0)
    parts: list[str] = []
    size = 0
    for part in template.generate(values):
        size += len(part)
        if size > MOST_CHARS:
            raise SecurityError(f"the text is longer than {MOST_CHARS:,} characters")
        parts.append(part)
    return "".join(parts).strip()


def told(error: BaseException) -> str:
    """Return what an error says, in one line; some say nothing."""
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _no_function(value: object) -> object:
    """``value`` as it is written; a function would be written as Python shows it, where its call was meant."""
    if callable(value) and not isinstance(value, jinja2.Undefined):
        raise TypeError(f"{getattr(value, '__name__', value)} is a function: call it, or leave it out")
    return value


def _counted() -> nodes.Expr:
    return nodes.Call(nodes.EnvironmentAttribute("count_round"), [], [], None, None)


def _bits(value: object) -> int:
    return value.bit_length() if isinstance(value, int) else 1


def _size(value: object) -> int:
    """The length of a text or list, the times of a factor."""
    return abs(value) if isinstance(value, int) else len(value) if isinstance(value, str | list | tuple) else 1
