"""A vLLM server of our own: it comes up or says why not, is stopped whatever happens, and its key stands nowhere."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.vllm_server import VERSION, Behaviour, install, read_journal
from tutelage.completers.vllm.api import VllmApi, VllmUnavailable
from tutelage.completers.vllm.server import Launch, VllmServer, find_command
from tutelage.models.load import load_bundle, save_folder

PATIENCE_S = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_folder(load_bundle("tiny"), folder)
    return folder


def put_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, behaviour: Behaviour | None = None) -> Path:
    """Install the command, and return the file of its journal."""
    behaviour = behaviour or Behaviour()
    behaviour.journal = str(folder / "journal.jsonl")
    for name, value in install(folder / "bin", behaviour).items():
        monkeypatch.setenv(name, value)
    return folder / "journal.jsonl"


def server(model: Path, folder: Path, start_s: float = PATIENCE_S, **more: object) -> VllmServer:
    launch = Launch(str(model), model / "chat_template.jinja", **more)  # type: ignore[arg-type]
    return VllmServer(launch, log=folder / "vllm" / "server.log", start_s=start_s)


def is_there(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while is_there(pid):
        assert time.monotonic() < until, "the server is still there"
        time.sleep(0.05)


def test_it_comes_up_after_a_while_and_is_stopped(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = put_on_path(monkeypatch, tmp_path, Behaviour(slow_s=1.0))
    made = server(model, tmp_path, max_lora_rank=32, dtype="float32", max_model_len=128)
    with made:
        made.start()
        with VllmApi(made.url, made.key) as api:
            (card,) = api.models()
            assert (card.id, card.root, card.max_model_len) == ("base", str(model), 128)
            assert api.version() == VERSION
        ((_, started),) = read_journal(journal)
    assert not is_there(started["pid"])
    with pytest.raises(httpx.ConnectError):
        httpx.get(made.url, trust_env=False)
    assert started["no_usage_stats"] == "1", "this tool sends nothing to anybody"
    argv = " ".join(started["argv"])
    assert "--enable-lora --max-loras 1 --max-lora-rank 32" in argv
    assert "--host 127.0.0.1" in argv
    assert made.key not in argv + made.log.read_text()


def test_where_it_takes_no_adapters_it_has_no_room_for_them(model: Path) -> None:
    argv = Launch(str(model), model / "chat_template.jinja").arguments(1)
    assert "--enable-lora" not in argv
    assert argv[argv.index("--generation-config") + 1] == "vllm", "no sampling settings of the model's own"
    assert argv[argv.index("--load-format") + 1] == "safetensors"


def test_the_device_of_the_recipe_is_the_one_that_it_sees(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(device: str) -> str | None:
        launch = Launch(str(model), model / "chat_template.jinja", device=device)
        return launch.environment("k").get("CUDA_VISIBLE_DEVICES")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert (seen("auto"), seen("cuda:1")) == (None, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert (seen("cuda:1"), seen("auto")) == ("6", "4,6")


def test_offline_holds_for_the_server_too(model: Path) -> None:
    launch = Launch(str(model), model / "chat_template.jinja", offline=True)
    assert launch.environment("k")["HF_HUB_OFFLINE"] == "1"


def test_a_crash_shows_the_end_of_its_log(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(monkeypatch, tmp_path, Behaviour(crash="RuntimeError: Failed to infer device type"))
    log = tmp_path / "vllm" / "server.log"
    log.parent.mkdir()
    log.write_text("what an earlier server said\n")
    made = server(model, tmp_path)
    with pytest.raises(VllmUnavailable, match=r"(?s)exit code 1.*Failed to infer device type.*no GPU") as caught:
        made.start()
    assert "earlier server" not in str(caught.value)
    assert not made.running
    assert "earlier server" in log.read_text(), "the log is added to"


def test_one_that_takes_too_long_is_stopped(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = put_on_path(monkeypatch, tmp_path, Behaviour(slow_s=600))
    made = server(model, tmp_path, start_s=2)
    with pytest.raises(VllmUnavailable, match=r"not up within 2 s \(engines.sampling.start_s\)"):
        made.start()
    assert not made.running
    assert not journal.exists()


def test_without_the_command_the_message_says_how_to_install_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_command() is None
    with pytest.raises(VllmUnavailable, match=r"not installed.*pip install 'tutelage\[vllm\]'"):
        server(model, tmp_path).start()


@contextmanager
def child(model: Path, folder: Path, how: str) -> "Iterator[subprocess.Popen[str]]":
    """A process that starts a server, says so, and then does ``how``; killed if it is still there at the end."""
    code = f"""
        import signal, sys, time
        from pathlib import Path
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        from tutelage.completers.vllm.server import Launch, VllmServer
        model = Path({str(model)!r})
        with VllmServer(Launch(str(model), model / "chat_template.jinja"), log=Path({str(folder / "log")!r}),
                        start_s={PATIENCE_S}).start():
            print("up", flush=True)
            {how}
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("how", "number"), [("time.sleep(600)", signal.SIGKILL), ("time.sleep(600)", signal.SIGINT), ("1 / 0", None)]
)
def test_it_does_not_outlive_who_started_it(
    how: str, number: signal.Signals | None, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = put_on_path(monkeypatch, tmp_path)
    with child(model, tmp_path, how) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        ((_, started),) = read_journal(journal)
        if number is not None:
            os.kill(process.pid, number)
        assert process.wait(PATIENCE_S) != 0
    wait_until_gone(started["pid"])


def test_ctrl_c_while_it_comes_up_stops_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(monkeypatch, tmp_path, Behaviour(slow_s=600))
    with child(model, tmp_path, "pass") as process:
        until = time.monotonic() + PATIENCE_S
        while not (tmp_path / "log").is_file() or not (tmp_path / "log").read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        (guard,) = (int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
        (command,) = (int(pid) for pid in Path(f"/proc/{guard}/task/{guard}/children").read_text().split())
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_S) != 0
    wait_until_gone(command)
