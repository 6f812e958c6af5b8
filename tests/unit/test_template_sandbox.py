"""Templates of a user's file: what they cannot do, and that each such thing is said."""

import pytest

from tutelage.construct.templates.sandbox import FAULTS, MOST_CHARS, MOST_ROUNDS, Bounded, rendered, told

ENVIRONMENT = Bounded()


def text_of(template: str, **values: object) -> str:
    return rendered(ENVIRONMENT.from_string(template), values)


def fault_of(template: str, **values: object) -> str:
    with pytest.raises(FAULTS) as raised:
        text_of(template, **values)
    return told(raised.value)


TWO_LOOPS = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
NEVER = "{% for a in range(9999) if a < 0 %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (TWO_LOOPS, f"more than {MOST_ROUNDS:,} rounds"),
        (NEVER + NEVER, f"more than {MOST_ROUNDS:,} rounds"),
        ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}", "rounds"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end"),
        ("{{ text * 1000000 }}", "* makes a text or list that is too large"),
        ("{{ [1] * 1000 * 1000 * 1000 }}", "too large"),
        ("{{ 10 ** 5000 }}", "** makes a number that is too large"),
        ("{{ (9 ** 999) * (9 ** 999) }}", "* makes a number that is too large"),
        ("{% for a in range(999) %}" + "{{ text }}" * 200 + "{% endfor %}", f"longer than {MOST_CHARS:,} characters"),
        ("{{ text.__class__.__mro__ }}", "access to attribute '__class__'"),
        ("{{ ''.join.__self__ }}", "unsafe"),
        ("{{ words.append(1) }}", "unsafe"),
        ("{% include 'x' %}", "no loader"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ text.upper }}", "upper is a function: call it, or leave it out"),
        ("{{ range }}", "is a function"),
        ("{{ text | random }}", "No filter named 'random'"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
    ],
)
def test_what_is_refused(template: str, said: str) -> None:
    assert said in fault_of(template, text="A fine film.", words=["a"])


def test_what_templates_are_for_is_left_to_them() -> None:
    template = """
    {% macro option(name) %}- {{ name }}{% endmacro %}
    {% for name in names if name != "bad" %}
    {{ loop.index * 2 }} of {{ 2 ** 3 }}: {{ option(name) }} {{ "=" * 3 }}
    {% else %}
    nothing
    {% endfor %}
    {{ text.upper() }} {{ 1.5 * 2 }}
    """
    assert text_of(template, names=["bad", "good"], text="a <b>").split("\n") == [
        "2 of 8: - good ===",
        "    A <B> 3.0",
    ]


def test_each_text_has_its_own_rounds() -> None:
    template = f"{{% for a in range({MOST_ROUNDS}) %}}{{% endfor %}}done"
    assert [text_of(template), text_of(template)] == ["done", "done"]
