import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tutelage import files
from tutelage.errors import StorageError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_write_replaces_the_whole_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    files.write_atomic(target, "first, longer")
    files.write_atomic(target, "zweite ä")
    assert target.read_bytes() == "zweite ä".encode()
    assert names(target.parent) == ["a.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_atomic(target, "old")

    def write_and_fail() -> None:
        with files.atomic_file(target) as partial:
            partial.write_text("half")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        write_and_fail()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real.txt")
    files.write_atomic(tmp_path / "link", "through")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "through"


def test_json_round_trips_and_refuses_what_json_has_not(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"ü": [1, None, 0.5]})
    assert files.read_json(tmp_path / "a.json") == {"ü": [1, None, 0.5]}
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert files.read_json(tmp_path / "a.json") == {"ü": [1, None, 0.5]}


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with files.atomic_folder(tmp_path / "run") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")
        assert not (tmp_path / "run").exists()
    assert (tmp_path / "run" / "sub" / "a").read_text() == "1"

    def fill_and_fail() -> None:
        with files.atomic_folder(tmp_path / "other") as folder:
            (folder / "a").write_text("1")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        fill_and_fail()
    assert names(tmp_path) == ["run"]


def test_an_existing_folder_is_replaced_only_on_request(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with files.atomic_folder(tmp_path / "run", replace=True) as folder:
            (folder / text).write_text(text)
    assert names(tmp_path / "run") == ["new"]
    assert names(tmp_path) == ["run"]
    with pytest.raises(StorageError, match="exists already"), files.atomic_folder(tmp_path / "run"):
        pass


def test_a_torn_last_line_is_ignored_and_then_repaired(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert files.read_lines(log) == []
    files.append_lines(log, ["one", "two"])
    with open(log, "ab") as file:
        file.write(b'{"torn": "\xc3')
    assert files.read_lines(log) == ["one", "two"]
    files.append_line(log, "three")
    assert files.read_lines(log) == ["one", "two", "three"]
    assert log.read_bytes() == b"one\ntwo\nthree\n"


def test_a_torn_line_longer_than_a_chunk_is_removed_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n" + b"x" * (files.CHUNK * 2 + 5))
    files.append_line(log, "two")
    assert log.read_bytes() == b"one\ntwo\n"
    log.write_bytes(b"x" * (files.CHUNK + 5))
    files.append_line(log, "only")
    assert log.read_bytes() == b"only\n"


def test_lines_with_line_breaks_are_a_bug_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line break"):
        files.append_line(tmp_path / "log", "a\nb")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="cannot append to the file: the disk is full") as caught:
        files.append_line(tmp_path / "full", "text")
    assert caught.value.exit_code == 5
    assert "free some space" in str(caught.value).lower()


def test_a_disk_that_fills_up_midway_leaves_what_was_there(tmp_path: Path) -> None:
    """The size limit of a process stands for the end of the disk: the write stops in the middle of the line."""
    code = (
        "import resource, signal, sys\n"
        "from tutelage import files\n"
        "from tutelage.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "files.append_line(sys.argv[1], 'x' * 3000)\n"
        "files.write_atomic(sys.argv[2], 'old')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "for write in (files.append_line, files.write_atomic):\n"
        "    try:\n"
        "        write(sys.argv[1 + (write is files.write_atomic)], 'y' * 5000)\n"
        "        sys.exit('no error')\n"
        "    except StorageError as error:\n"
        "        print(error)\n"
    )
    log, whole = tmp_path / "log", tmp_path / "whole"
    done = subprocess.run([sys.executable, "-c", code, log, whole], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("would be larger") == 2
    assert files.read_lines(log) == ["x" * 3000]
    assert whole.read_text() == "old"
    assert names(tmp_path) == ["log", "whole"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission denied"), (1234, "odd")],
)
def test_refusals_name_path_action_and_remedy(code: int, words: str) -> None:
    with (
        pytest.raises(StorageError, match=f"run/x: cannot write the file: .*{words}"),
        files.storage("run/x", "write the file"),
    ):
        raise OSError(code, "odd")


def test_reading_what_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        files.read_text(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(
        StorageError, match=r"latin:2: the file is not UTF-8 text \(received byte 0xe9\). Save it as UTF-8"
    ):
        files.read_text(tmp_path / "latin")
    with pytest.raises(StorageError, match="latin:2"):
        files.read_lines(tmp_path / "latin")
    files.write_atomic(tmp_path / "bad.json", "{")
    with pytest.raises(StorageError, match="not JSON"):
        files.read_json(tmp_path / "bad.json")


def test_remains_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from tutelage import files\n"
        "base = sys.argv[1]\n"
        "with files.atomic_folder(base + '/folder') as folder, files.atomic_file(base + '/file') as file:\n"
        "    (folder / 'a').write_text('1')\n"
        "    file.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    (tmp_path / "kept.partial").write_text("somebody's own")
    assert len(files.remove_partial(tmp_path)) == 2
    assert names(tmp_path) == ["kept.partial"]


def test_sha256_and_space(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "a", b"abc")
    assert files.sha256_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    free = files.free_bytes(tmp_path / "not" / "yet")
    assert free > 0
    files.require_space(tmp_path, 1)
    with pytest.raises(StorageError, match=r"MB are needed \(received .* MB free\)"):
        files.require_space(tmp_path, 10**18)
