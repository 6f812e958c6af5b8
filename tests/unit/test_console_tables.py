"""Tables of the command line show what others wrote as it is."""

import pytest
from rich.text import Text

from tutelage.cli.console import OUT, table


def test_cells_hold_no_markup_and_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table("name", "count", right=("count",))
    shown.add_row("[red]a[/red] [/] [link=file:///]b", "1")
    shown.add_row("c\x1b[2Jd", "20")
    shown.add_row(Text("e", style="bold"), None)
    OUT.print(shown)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split() for line in lines] == [
        ["name", "count"],
        ["[red]a[/red]", "[/]", "[link=file:///]b", "1"],
        [r"c\x1b[2Jd", "20"],
        ["e"],
    ]
    assert lines[1].index("1") == lines[2].rindex("0"), "numbers stand to the right"
