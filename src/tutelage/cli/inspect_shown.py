"""What ``tutelage inspect`` prints."""

from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from tutelage.cli.console import OUT, plain, say, table, title
from tutelage.records.inspection import Excerpt, Inspection, Length, TokenFigures
from tutelage.report.inspection import KINDS, said_duplicates, said_languages, said_turns
from tutelage.report.names import title as in_words
from tutelage.report.numbers import plural, share
from tutelage.text.languages import NAMES

MAX_LABELS = 8
LINE = 96
TOPIC_EXAMPLES = 2


def show_inspection(found: Inspection) -> None:
    """Print all figures; texts of the rows without their markup and control characters, a line each."""
    forms = ", ".join(f"{form} {count:,}" if len(found.forms) > 1 else form for form, count in found.forms.items())
    say(f"{plain(found.name)}: {plural(found.rows, 'row')}, {KINDS[found.kind]} ({forms})", style="bold")
    say(said_turns(found))
    for label, counts in found.labels.items():
        say(f"{in_words(label)}: {_counts(counts, found.rows)}")
    _heading("lengths")
    _print_lengths(found.lengths)
    if found.tokens is not None:
        _heading("tokens")
        _print_tokens(found.tokens)
    of = f" of {found.sampled:,} rows, drawn by hash" if found.sampled < found.rows else ""
    _heading(f"languages{of}")
    _print_languages(found)
    _heading("duplicates")
    for line in said_duplicates(found):
        say(line)
    for group in [group for group in found.duplicates.groups if group.exact][:1]:
        _quote(group.examples[:1], f"{group.rows} × ")
    for group in [group for group in found.duplicates.groups if not group.exact][:1]:
        _quote(group.examples[:2])
    _heading("what curation would drop or mask")
    _print_findings(found)
    if found.overlaps:
        _heading("contamination")
        _print_overlaps(found)
    if found.topics is not None:
        _heading(f"topics{of}")
        _print_topics(found)
    for note in found.notes:
        say(plain(note), style="dim")


def _heading(text: str) -> None:
    say("")
    title(text, OUT)


def _counts(counts: Mapping[str, int], of: int) -> str:
    shown = [f"{_line(name) or 'not said'} {count:,} ({share(count / of)})" for name, count in counts.items()]
    more = f", {len(shown) - MAX_LABELS} more" if len(shown) > MAX_LABELS else ""
    return ", ".join(shown[:MAX_LABELS]) + more


def _print_lengths(lengths: Sequence[Length]) -> None:
    figures = ("mean", "least", "5 %", "median", "95 %", "99 %", "most", "all")
    shown = table("", "in", *figures, right=figures)
    for one in lengths:
        spread = one.spread
        numbers = (spread.least, spread.p5, spread.median, spread.p95, spread.p99, spread.most, spread.total)
        shown.add_row(one.side, one.unit, f"{spread.mean:,.1f}", *(f"{number:,}" for number in numbers))
    OUT.print(shown)


def _print_tokens(found: TokenFigures) -> None:
    _print_lengths(found.lengths)
    low, high = found.shares.p5, found.shares.p95
    part = share(found.learned / found.tokens)
    say(f"Learned from: {found.learned:,} of {found.tokens:,} tokens ({part}).")
    say(f"Of nine rows in ten it is {low} % to {high} % of their tokens.")
    shown = table("role", "turns", "tokens", "learned", right=("turns", "tokens", "learned"))
    for role in found.roles:
        shown.add_row(role.role, f"{role.turns:,}", f"{role.tokens:,}", f"{role.learned:,}")
    OUT.print(shown)
    for what, count in found.dropped.items():
        limit = f" ({found.max_tokens:,})" if "max_tokens" in what else ""
        say(f"{plural(count, 'row')} would not be trained on: {what}{limit}", style="yellow")
    if not found.dropped:
        say(f"No row would be left out at max_tokens {found.max_tokens:,}.")


def _print_languages(found: Inspection) -> None:
    shown = table("language", "prompts", "answers", right=("prompts", "answers"))
    prompts, answers = found.languages.prompts, found.languages.answers
    codes = sorted({*prompts, *answers}, key=lambda code: (code == "", -prompts.get(code, 0) - answers.get(code, 0)))
    for code in codes:
        name = NAMES.get(code, code) or "too short or unclear"
        shown.add_row(name, f"{prompts.get(code, 0):,}", f"{answers.get(code, 0):,}")
    OUT.print(shown)
    say(said_languages(found.languages))
    _quote(found.languages.examples[:1])


def _print_findings(found: Inspection) -> None:
    if not found.findings:
        say("Nothing was found by validate, quality, heuristics and pii.")
        return
    shown = table("rows", "of", "step", "would", "because of", right=("rows", "of"))
    for one in found.findings:
        cells = (f"{one.rows:,}", f"{one.n:,}", one.step, one.action)
        shown.add_row(*cells, one.what.removesuffix(" masked") if one.action == "mask" else one.what)
    OUT.print(shown)


def _print_overlaps(found: Inspection) -> None:
    for one in found.overlaps:
        are = "shares" if one.rows == 1 else "share"
        said = f"{plural(one.rows, 'row')} of {found.rows:,} {are} words with {plain(one.name)} ({one.items:,} items)."
        say(said, style="yellow" if one.rows else "")
        for note in one.notes:
            say(f"  {plain(note)}", style="dim")
        _quote(one.examples[:1])


def _print_topics(found: Inspection) -> None:
    assert found.topics is not None
    shown = table("rows", "words", "for example", right=("rows",))
    for topic in found.topics.topics:
        examples = Text("\n".join(_line(one.prompt) for one in topic.examples[:TOPIC_EXAMPLES]))
        shown.add_row(f"{topic.rows:,}", Text(plain(", ".join(topic.terms)) or "–"), examples)
    OUT.print(shown)
    if found.topics.apart:
        say(f"{plural(found.topics.apart, 'prompt')} with no word of another one: in no topic.", style="dim")
    say(f"{found.topics.rule}.", style="dim")


def _quote(examples: Iterable[Excerpt], before: str = "") -> None:
    for one in examples:
        note = f"  [{plain(one.note)}]" if one.note else ""
        say(f"  {before}{_line(one.prompt)}{note}", style="dim")
        for name, answer in one.answers.items():
            say(f"    {name}: {_line(answer)}", style="dim")


def _line(text: str) -> str:
    """A text in one line, without control characters."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= LINE else f"{line[: LINE - 1].rstrip()}…"
