"""What a person, a log file or a program sees of events. Only the command line prints."""

import sys
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tutelage.events import Event

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)
OUTCOME_STYLE = {"promoted": "bold green", "rejected": "bold red", "inconclusive": "bold yellow"}


@dataclass(slots=True)
class _Bar:
    task: TaskID
    started: float
    first: int


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
        elif event.kind == "progress":
            self._advance(event)
        elif not self.quiet:
            self._say(event)

    def _advance(self, event: Event) -> None:
        if self._progress is None:
            return
        data = event.data
        done, total = int(str(data["done"])), int(str(data["total"]))
        label = f"{event.stage}: {data['label']}" if event.stage else str(data["label"])
        bar = self._bars.get(label)
        if bar is None:
            bar = _Bar(self._progress.add_task(label, total=total, rate=""), time.monotonic(), done)
            self._bars[label] = bar
        seconds = time.monotonic() - bar.started
        rate = f"{(done - bar.first) / seconds:.1f} {data.get('unit', 'items')}/s" if seconds > 1 else ""
        tokens = data.get("tokens")
        if isinstance(tokens, int) and tokens and seconds > 1:
            rate = f"{tokens / seconds:.0f} tokens/s"
        self._progress.update(bar.task, completed=done, total=total, rate=rate)
        if done >= total:
            self._progress.remove_task(bar.task)
            del self._bars[label]

    def _say(self, event: Event) -> None:
        data = event.data
        if event.round is not None and event.round != self._last_round and event.kind != "scores":
            self._last_round = event.round
            ERR.rule(f"round {event.round}" if event.round else "the start", style="dim")
        where = f"[dim]{event.stage:<24}[/dim] " if event.stage else ""
        match event.kind:
            case "run_started":
                ERR.print(f"[bold]{data['name']}[/bold]  [dim]{data['path']}[/dim]")
            case "note" | "plan":
                ERR.print(f"{where}{data['text']}", markup=True)
            case "scores":
                macro = data["macro"]
                value = f"{macro:.3f}" if isinstance(macro, float) else "not scored"
                ERR.print(f"{where}{data['split']} macro [bold]{value}[/bold] [dim]({data['n']} items)[/dim]")
            case "verdict":
                outcome = str(data["outcome"])
                ERR.print(f"{where}[{OUTCOME_STYLE[outcome]}]{outcome}[/]  {data['text']}")
            case "run_finished":
                ERR.rule(style="dim")
                ERR.print(str(data["text"]))
            case _:
                return


def fail(message: str) -> None:
    """Print an error."""
    ERR.print("[bold red]error[/bold red] ", end="")
    ERR.print(message, markup=False)
