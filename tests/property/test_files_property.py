from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tutelage import files

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), max_size=6)


@given(LINES, st.data())
def test_a_log_cut_anywhere_keeps_every_complete_line(lines: list[str], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        files.append_lines(log, lines)
        content = log.read_bytes() if lines else b""
        cut = data.draw(st.integers(0, len(content)))
        log.write_bytes(content[:cut])
        complete = content[:cut].count(b"\n")
        assert files.read_lines(log) == lines[:complete]
        files.append_line(log, "after the crash")
        assert files.read_lines(log) == [*lines[:complete], "after the crash"]
