"""Who answers for the student of a recipe that names vLLM: the server, or in words the engine in its place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peft import IA3Config, LoraConfig, PrefixTuningConfig, get_peft_model

from support.vllm_server import VERSION, Behaviour, FakeVllm, install, read_journal, served
from tutelage.completers.vllm.adapter import name_of
from tutelage.completers.vllm.api import VllmUnavailable
from tutelage.errors import CompletionError, RunError
from tutelage.events import Event
from tutelage.models.load import load_bundle, save_folder
from tutelage.models.quiet import quiet
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.sampled_by import SampledBy
from tutelage.recipe import Recipe, parse_recipe
from tutelage.records import Answer, Request, Sampling, user
from tutelage.records.jsonl import read_records
from tutelage.runs import RunDirectory

RECIPE = "name: served\nmodel: {id: MODEL}\ntasks: [{kind: safety}]\nengines: {threads: 1, sampling: {kind: vllm MORE}}"
LORA: dict[str, Any] = {"target_modules": ["q_proj"], "init_lora_weights": False, "task_type": "CAUSAL_LM"}
ASKED = [Request(id=f"r{n}", messages=(user("Hello"),), sampling=Sampling(max_tokens=40), seed=n) for n in range(3)]


def recipe(more: str = "", model: str | Path = "tiny") -> Recipe:
    return parse_recipe(RECIPE.replace("MORE", f", {more}" if more else "").replace("MODEL", str(model)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_folder(load_bundle("tiny"), folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    configs = {
        "lora": LoraConfig(r=4, **LORA),
        "other": LoraConfig(r=4, **LORA),
        "large": LoraConfig(r=24, **LORA),
        "dora": LoraConfig(r=4, use_dora=True, **LORA),
        "ia3": IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM"),
        "prefix": PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"),
    }
    for name, config in configs.items():
        with quiet():
            get_peft_model(load_bundle("tiny").model, config).save_pretrained(str(folder / name))
    return {name: folder / name for name in configs}


class Stage:
    """A stage of a run that samples, opened again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / "run/rounds/1/construct"
        self.notes: list[str] = []
        self.journal = path / "journal.jsonl"

    @contextmanager
    def engines(self, given: Recipe) -> Iterator[Engines]:
        def emit(event: Event) -> None:
            self.notes.append(str(event.data["text"]))

        with (
            RunDirectory.create(self.path / "run", given) as run,
            Engines(given, offline=True, run=run, emit=emit) as engines,
        ):
            self.folder.mkdir(parents=True, exist_ok=True)
            yield engines

    def ask(self, engines: Engines, weights: Path | None = None) -> list[Answer]:
        return list(engines.sampler(weights, self.folder).complete(ASKED))

    @property
    def kept(self) -> list[SampledBy]:
        return read_records(self.folder / "engines.jsonl", SampledBy)

    def said(self, what: str) -> list[dict[str, Any]]:
        """What started servers were asked."""
        return [details for kind, details in read_journal(self.journal) if kind == what]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def command(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The command is installed."""
    put_on_path(stage, monkeypatch)
    return stage


def put_on_path(stage: Stage, monkeypatch: pytest.MonkeyPatch, **behaviour: Any) -> None:
    behaved = Behaviour(journal=str(stage.journal), **behaviour)
    for name, value in install(stage.path / "bin", behaved).items():
        monkeypatch.setenv(name, value)


def texts(answers: list[Answer]) -> set[str]:
    return {answer.text.partition(" ")[0] for answer in answers}


def test_adapters_come_and_go_under_names_of_their_weights(command: Stage, adapters: dict[str, Path]) -> None:
    folder = command.path / "weights"
    with command.engines(recipe()) as engines:
        assert texts(command.ask(engines)) == {"base"}
        names = []
        for kind in ("lora", "other"):  # in one folder, as a stage that is done again would leave them
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(adapters[kind], folder)
            engines.close()
            names.append(name_of(folder))
            assert texts(command.ask(engines, folder)) == {names[-1]}
        assert texts(command.ask(engines, adapters["lora"])) == {names[0]}
        assert texts(command.ask(engines)) == {"base"}
        completer = engines.sampler(None, command.folder)
        assert (completer.engine.engine, completer.engine.batch_size) == (f"vllm {VERSION}", 0)
        assert completer.engine.dtype == "float32"
    assert names[0] != names[1]
    assert [load["name"] for load in command.said("load")] == [names[0], names[1], names[0]]
    assert [gone["name"] for gone in command.said("unload")] == [names[1], names[0]]
    assert len(command.said("start")) == 3, "one server for as long as nothing else is opened"
    assert {line.engine.engine for line in command.kept} == {f"vllm {VERSION}"}
    assert {line.student for line in command.kept} == {"start", *names}
    assert not (command.path / "run/vllm/base").exists(), "what was written for the server goes with it"
    assert (command.path / "run/vllm/server.log").is_file()


def test_a_teacher_behind_an_endpoint_does_not_end_the_server_and_a_model_does(command: Stage) -> None:
    taught = "construct: {distill: {teacher: {kind: endpoint, base_url: 'http://127.0.0.1:9/v1', model: m}}}"
    text = RECIPE.replace(" MORE", "").replace("MODEL", "tiny") + f"\n{taught}\n"
    with command.engines(parse_recipe(text)) as engines:
        command.ask(engines)
        teacher = engines.teacher(engines.student(None, 0))
        assert teacher is not None
        assert teacher.open().engine.engine.startswith("remote")
        command.ask(engines)
        assert len(command.said("start")) == 1
        engines.reference(None)
        with pytest.raises(ProcessLookupError):
            os.kill(command.said("start")[0]["pid"], 0)


def test_a_server_without_room_for_the_rank_is_started_again(command: Stage, adapters: dict[str, Path]) -> None:
    with command.engines(recipe()) as engines:
        command.ask(engines, adapters["lora"])
        command.ask(engines, adapters["large"])
        command.ask(engines, adapters["other"])
    ranks = [start["argv"][start["argv"].index("--max-lora-rank") + 1] for start in command.said("start")]
    assert ranks == ["8", "32"]


@pytest.mark.parametrize("kind", ["dora", "ia3"])
def test_what_vllm_cannot_take_is_merged_and_served_whole(kind: str, command: Stage, adapters: dict[str, Path]) -> None:
    with command.engines(recipe()) as engines:
        assert texts(command.ask(engines, adapters[kind])) == {"base"}
        (start,) = command.said("start")
        assert start["argv"][1].endswith("run/vllm/merged")
        assert Path(start["argv"][1], "model.safetensors").is_file()
    assert not Path(start["argv"][1]).exists()
    assert command.kept[0].student == name_of(adapters[kind])
    assert not command.said("load")


def test_a_whole_model_is_served_from_where_it_lies(command: Stage, model: Path) -> None:
    with command.engines(recipe()) as engines:
        command.ask(engines, model)
    (start,) = command.said("start")
    assert start["argv"][1] == str(model)
    assert model.is_dir()


def test_what_cannot_be_merged_is_answered_here_with_a_note(command: Stage, adapters: dict[str, Path]) -> None:
    with command.engines(recipe()) as engines:
        completer = engines.sampler(adapters["prefix"], command.folder)
        assert completer.engine.engine == "transformers"
        command.ask(engines)
    (line, start) = command.kept
    assert (line.engine.engine, line.student) == ("transformers", name_of(adapters["prefix"]))
    assert start.engine.engine == f"vllm {VERSION}", "the others are still vLLM's"
    assert any("PREFIX_TUNING, which cannot be merged" in note for note in command.notes)


def test_a_refused_adapter_is_answered_here_with_a_note(
    stage: Stage, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(stage, monkeypatch, refuses="Loading lora failed: unexpected modules")
    with stage.engines(recipe()) as engines:
        first = stage.ask(engines, adapters["lora"])
        assert stage.ask(engines, adapters["lora"]) == first
    assert len(stage.said("start")) == 1, "it is not tried again for these weights"
    (line,) = stage.kept
    assert line.engine.engine == "transformers"
    assert line.engine.batch_size > 0
    assert "unexpected modules" in line.why
    (told,) = [note for note in stage.notes if "in its place" in note]
    assert "unexpected modules" in told


@pytest.mark.parametrize("how", ["not installed", "crash"])
def test_without_a_server_the_transformers_engine_answers_with_a_note(
    how: str, stage: Stage, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "crash":
        put_on_path(stage, monkeypatch, crash="RuntimeError: Failed to infer device type")
    else:
        monkeypatch.setenv("PATH", str(stage.path))
    with stage.engines(recipe()) as engines:
        answers = stage.ask(engines)
        stage.ask(engines, adapters["lora"])
    assert len(answers) == len(ASKED)
    assert {line.engine.engine for line in stage.kept} == {"transformers"}
    words = "Failed to infer device type" if how == "crash" else "pip install 'tutelage[vllm]'"
    assert any("the transformers engine does in its place" in note and words in note for note in stage.notes)
    assert sum("server is started" in note for note in stage.notes) == (how == "crash"), "it is waited for once"


def test_without_fallback_the_run_stops(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(stage.path))
    with stage.engines(recipe("fallback: false")) as engines, pytest.raises(VllmUnavailable, match="not installed"):
        stage.ask(engines)
    assert not (stage.folder / "engines.jsonl").exists()


def test_a_stage_that_goes_on_with_another_version_says_so(stage: Stage, model: Path) -> None:
    with served(Behaviour(str(model), "tiny")) as one, served(Behaviour(str(model), "tiny")) as other:
        for server in (one, other):
            with stage.engines(recipe(joined(server))) as engines:
                stage.ask(engines)
    assert [line.engine.engine.rpartition(" ")[2] for line in stage.kept] == [one.url, other.url]
    (told,) = stage.notes
    assert f"at {other.url} goes on with what vllm {VERSION} at {one.url} began" in told


def test_what_vllm_began_no_other_engine_goes_on_with(command: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with command.engines(recipe()) as engines:
        command.ask(engines)
    monkeypatch.setenv("PATH", str(command.path))
    with command.engines(recipe()) as engines, pytest.raises(RunError, match=r"(?s)vllm .*answered a part.*delete"):
        command.ask(engines)
    command.folder = command.path / "run/rounds/2/construct"
    command.folder.mkdir(parents=True)
    with command.engines(recipe()) as engines:
        assert engines.sampler(None, command.folder).engine.engine == "transformers", "another stage may begin with it"


def test_what_the_engine_in_its_place_began_it_goes_on_with(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without, stage.engines(recipe()) as engines:
        without.setenv("PATH", str(stage.path))
        first = stage.ask(engines)
    put_on_path(stage, monkeypatch)
    with stage.engines(recipe()) as engines:
        assert stage.ask(engines) == first
    assert not stage.said("start")
    assert any("goes on with what it began" in note for note in stage.notes)
    assert len(stage.kept) == 1
    with stage.engines(recipe("fallback: false")) as engines, pytest.raises(RunError, match=r"vLLM alone.*delete"):
        stage.ask(engines)


def test_a_server_that_ends_while_it_is_asked_shows_why(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(stage, monkeypatch, ends_at=2)
    words = r"(?s)ended while it was asked.*illegal memory access"
    with stage.engines(recipe()) as engines, pytest.raises(CompletionError, match=words):
        stage.ask(engines)


def joined(server: FakeVllm, more: str = "") -> str:
    return f'base_url: "{server.url}"' + (f", {more}" if more else "")


def test_a_joined_server_gives_what_it_has_and_is_left_as_it_was(
    stage: Stage, model: Path, adapters: dict[str, Path]
) -> None:
    with served(Behaviour(str(model), "served-name")) as server:
        with stage.engines(recipe(joined(server), model)) as engines:
            assert texts(stage.ask(engines)) == {"served-name"}
            assert texts(stage.ask(engines, adapters["lora"])) == {name_of(adapters["lora"])}
            assert len(server.adapters) == 1
            assert texts(stage.ask(engines)) == {"served-name"}
            engine = engines.sampler(adapters["lora"], stage.folder).engine
        assert server.adapters == {}
    assert engine.engine == f"vllm {VERSION} at {server.url}"
    assert name_of(adapters["lora"]) in engine.model


def test_an_adapter_that_a_killed_run_left_there_is_used(stage: Stage, model: Path, adapters: dict[str, Path]) -> None:
    with served(Behaviour(str(model), "m")) as server:
        server.adapters[name_of(adapters["lora"])] = str(adapters["lora"])
        with stage.engines(recipe(joined(server), model)) as engines:
            assert texts(stage.ask(engines, adapters["lora"])) == {name_of(adapters["lora"])}
        assert not [what for what, _ in server.journal if what == "load"]


def test_another_model_there_is_refused_unless_it_is_said_to_be_this_one(stage: Stage, model: Path) -> None:
    with served(Behaviour(str(model), "other/Model-7B")) as server:
        with stage.engines(recipe(joined(server))) as engines:
            words = rf"does not serve the starting model tiny.*it serves other/Model-7B \({model}\).*served_model"
            with pytest.raises(CompletionError, match=words) as caught:
                stage.ask(engines)
            assert not isinstance(caught.value, VllmUnavailable)
        with stage.engines(recipe(joined(server, 'served_model: "other/Model-7B"'))) as engines:
            assert texts(stage.ask(engines)) == {"other/Model-7B"}


def test_another_template_there_is_refused(stage: Stage, model: Path) -> None:
    plain = "{% for message in messages %}{{ message.content }}{% endfor %}"
    with served(Behaviour(str(model), "tiny", template=plain)) as server:
        words = r"makes other prompts.*conversation of user: from token 0"
        with stage.engines(recipe(joined(server))) as engines, pytest.raises(CompletionError, match=words):
            stage.ask(engines)
        assert not [what for what, _ in server.journal if what == "ask"]


@pytest.mark.parametrize(
    ("kind", "behaviour", "words"),
    [
        ("lora", {"updating": False}, "VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
        ("large", {}, "LoRA rank 24 is greater than max_lora_rank 16"),
        ("dora", {}, "this one is not ours"),
        ("lora", {"tokenizing": False}, "does not say how it tokenizes"),
    ],
)
def test_what_a_joined_server_cannot_do_is_done_here_with_a_note(
    kind: str, behaviour: dict[str, Any], words: str, stage: Stage, model: Path, adapters: dict[str, Path]
) -> None:
    with served(Behaviour(str(model), "tiny", **behaviour)) as server:
        with stage.engines(recipe(joined(server))) as engines:
            assert engines.sampler(adapters[kind], stage.folder).engine.engine == "transformers"
        assert server.adapters == {}, "what it was given is taken off again"
    assert any(words in note for note in stage.notes)
    assert words in stage.kept[0].why


def test_nobody_at_the_address_is_answered_here(stage: Stage) -> None:
    with stage.engines(recipe('base_url: "http://127.0.0.1:9/v1"')) as engines:
        assert engines.sampler(None, stage.folder).engine.engine == "transformers"
    assert any("nobody answers there" in note for note in stage.notes)
