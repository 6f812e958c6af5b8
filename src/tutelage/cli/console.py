"""What a person, a log file or a program sees of events. Only the command line prints."""

import json as json_module
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tutelage.events import Event

PIPED_WIDTH = 200  # rich takes 80 for a pipe, which breaks paths and tables that nobody sees on a screen
LOG_EVERY_S = 30.0
STAGE_WIDTH = 25
OUTCOME_STYLE = {"promoted": "bold green", "rejected": "bold red", "inconclusive": "bold yellow"}


def _console(*, stderr: bool) -> Console:
    is_screen = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, emoji=False, width=None if is_screen else PIPED_WIDTH)


OUT = _console(stderr=False)
ERR = _console(stderr=True)


@dataclass(slots=True)
class _Bar:
    task: TaskID | None
    started: float
    first: int
    said: float


@dataclass(slots=True)
class Terminal:
    """Shows events: bars with rate and time left on a terminal, one line a fact elsewhere, JSON lines if asked."""

    quiet: bool = False
    json: bool = False
    _progress: Progress | None = None
    _bars: dict[str, _Bar] = field(default_factory=dict)
    _last_round: int | None = None

    def __enter__(self) -> "Terminal":
        if not self.quiet and not self.json and ERR.is_terminal:
            self._progress = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=ERR,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self.json:
            if event.kind != "progress":
                sys.stdout.write(event.to_json() + "\n")
                sys.stdout.flush()
        elif self.quiet:
            return
        elif event.kind == "progress":
            self._advance(event)
        else:
            self._say(event)

    def _advance(self, event: Event) -> None:
        data = event.data
        done, total = int(str(data["done"])), int(str(data["total"]))
        label = f"{event.stage}: {data['label']}" if event.stage else str(data["label"])
        bar = self._bars.get(label)
        now = time.monotonic()
        if bar is None:
            task = self._progress.add_task(label, total=total, rate="") if self._progress else None
            bar = self._bars[label] = _Bar(task, now, done, now)
        seconds = now - bar.started
        rate = f"{(done - bar.first) / seconds:.1f} {data.get('unit', 'items')}/s" if seconds > 1 else ""
        tokens = data.get("tokens")
        if isinstance(tokens, int) and tokens and seconds > 1:
            rate = f"{tokens / seconds:,.0f} tokens/s"
        rate += _of_answers(data)
        if self._progress is not None and bar.task is not None:
            self._progress.update(bar.task, completed=done, total=total, rate=rate)
        elif now - bar.said > LOG_EVERY_S:
            bar.said = now
            left = data.get("eta_s")
            rate += f", {left / 60:.0f} min left" if isinstance(left, int | float) else ""
            ERR.print(f"  {label} {done:,}/{total:,}  {rate}", markup=False, soft_wrap=True)
        if done >= total:
            if self._progress is not None and bar.task is not None:
                self._progress.remove_task(bar.task)
            del self._bars[label]

    def _say(self, event: Event) -> None:
        data = event.data
        if event.round is not None and event.round != self._last_round and event.kind not in {"scores", "step"}:
            self._last_round = event.round
            title(f"round {event.round}" if event.round else "the start")
        match event.kind:
            case "run_started":
                said = Text.assemble((str(data["name"]), "bold"), "  ", (str(data["path"]), "dim"))
            case "note" | "plan" | "look":
                said = Text(str(data["text"]))
            case "scores":
                macro = data["macro"]
                value = f"{macro:.3f}" if isinstance(macro, float) else "not scored"
                said = Text.assemble(f"{data['split']} macro ", (value, "bold"), (f" ({data['n']} items)", "dim"))
            case "verdict":
                outcome, words = str(data["outcome"]), str(data["text"])
                rest = words[len(outcome) :] if words.lower().startswith(outcome) else f": {words}"
                said = Text.assemble((outcome.capitalize(), OUTCOME_STYLE.get(outcome, "bold")), rest)
            case "run_finished":
                if ERR.is_terminal:
                    ERR.rule(style="dim")
                said = Text(str(data["text"]))
            case _:
                return
        _print_fact(event.stage, said)


def _of_answers(data: Mapping[str, JsonValue]) -> str:
    """How many answers did not come, and what was spent, where there is something to say."""
    share, money = data.get("yield"), data.get("money")
    lost = f", {share:.1%} came" if isinstance(share, float) and share < 1 else ""
    return lost + (f", {money:,.2f} spent" if isinstance(money, float) else "")


def _print_fact(stage: str, said: Text) -> None:
    """One fact beside its stage; on a terminal it is wrapped inside its own column."""
    if not ERR.is_terminal:
        ERR.print(Text.assemble((f"{stage:<{STAGE_WIDTH}}", "dim"), said) if stage else said, soft_wrap=True)
        return
    grid = Table.grid()
    if stage:
        grid.add_column(width=STAGE_WIDTH, style="dim")
    grid.add_column()
    grid.add_row(*([stage] if stage else []), said)
    ERR.print(grid)


@contextmanager
def waiting(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Show a spinner and the seconds while the block takes time, on a terminal only."""
    if quiet or not ERR.is_terminal:
        yield
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=ERR, transient=True
    ) as shown:
        shown.add_task(escape(text))
        yield


def title(text: str, console: Console = ERR) -> None:
    """Print a heading: beside the events, or on ``OUT`` above a result."""
    if console.is_terminal:
        console.rule(escape(text), style="dim")
    else:
        console.print(f"-- {text} --", markup=False)


def number(value: float | None, places: int = 3) -> str:
    """Return a figure for a table: a dash where there is none, and no minus before a zero."""
    return "–" if value is None else f"{value + 0.0:.{places}f}".replace(f"-{0:.{places}f}", f"{0:.{places}f}")


def plain(text: str) -> str:
    """Return a text of other people's with its control characters as escapes, line breaks and tabs alone left."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def say(text: str | Text, style: str = "", *, whole: bool = False) -> None:
    """Print a result for people, without markup. ``whole``: what is copied from it, such as a link, is never broken."""
    OUT.print(text, style=style or None, markup=False, soft_wrap=whole or not OUT.is_terminal)


def say_json(value: Mapping[str, JsonValue] | Sequence[JsonValue] | str) -> None:
    """Print one line of JSON; text is taken as JSON already."""
    line = value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class PlainTable(Table):
    """A table whose texts are shown as they are: nothing in them is markup, and nothing steers the terminal."""

    def add_row(self, *cells: RenderableType | None, **given: Any) -> None:
        """Add a row; a text with a style of its own is a :class:`rich.text.Text`."""
        super().add_row(*(Text(plain(cell)) if isinstance(cell, str) else cell for cell in cells), **given)


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table without lines, whose columns in ``right`` are aligned to the right."""
    made = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def fail(message: str) -> None:
    """Print an error as one block."""
    ERR.print(Text.assemble(("error ", "bold red"), message), soft_wrap=not ERR.is_terminal)
