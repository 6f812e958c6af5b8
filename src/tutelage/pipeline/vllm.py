"""The student behind a vLLM server: which model the server must serve, the adapter of the moment, and who answered."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tutelage.completers.endpoints.address import check_address, public_address, read_key
from tutelage.completers.vllm.adapter import (
    IN_NO_WEIGHT,
    is_adapter,
    kind_of,
    name_of,
    rank_of,
    room_for,
    why_not,
)
from tutelage.completers.vllm.api import AdapterRefused, Card, VllmApi
from tutelage.completers.vllm.completer import Line, VllmCompleter, require_same_prompts
from tutelage.completers.vllm.server import SERVED, Launch, VllmServer, require_command
from tutelage.errors import CompletionError
from tutelage.events import Emit, say
from tutelage.files import sha256_file, write_atomic
from tutelage.models.bundle import Bundle
from tutelage.models.default import ALIASES
from tutelage.models.hardware import pick_device, pick_dtype, release_memory
from tutelage.models.load import TINY, load_template, save_folder
from tutelage.models.template import ChatTemplate
from tutelage.models.template_file import template_of
from tutelage.recipe import Recipe
from tutelage.recipe.vllm import VllmEngine
from tutelage.records import Engine

LOG = "server.log"
_NO_LIMIT = 1 << 20
OTHERS, OWN = 6, 3
"""Further tries of a request, by whose the server is: one of ours that does not answer has ended."""

Load = Callable[[Path | None], Bundle]
"""The starting model, with the adapter of a folder merged into it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a student needs: the model to serve, and the adapter on it, if there is one.

    ``kept``: where the model's folder is, ``base`` and ``merged`` being written for the server.
    """

    kept: Literal["named", "base", "merged"]
    model: Path | None
    adapter: Path | None = None


class VllmStudents:
    """One server, for one model after another: their adapters are loaded and unloaded, and where a server of ours must
    serve other weights it is started again.

    ``home`` gets the server's log, its chat template and, while it runs, what it serves if that is in no folder.
    """

    def __init__(self, recipe: Recipe, *, home: Path, load: Load, offline: bool, emit: Emit) -> None:
        section = recipe.engines.sampling
        assert isinstance(section, VllmEngine)
        self._recipe, self._section, self._home = recipe, section, home
        self._load, self._offline, self._emit = load, offline, emit
        self._template: ChatTemplate | None = None
        self._server: VllmServer | None = None
        self._serves: Wanted | None = None
        self._api: VllmApi | None = None
        self._base: Card | None = None
        self._version = ""
        self._adapter = ""
        self._open: tuple[Path | None, VllmCompleter] | None = None

    def student(self, weights: Path | None) -> VllmCompleter:
        """Return who answers for the starting model with ``weights``: the same while the same weights are asked for.

        Raises
        ------
        VllmUnavailable: there is no server, or none that takes these weights.
        CompletionError: there is one, and it serves another model, makes other prompts or refuses the key.
        """
        if self._open is not None and self._open[0] == weights:
            return self._open[1]
        self._shut()
        wanted = self._wanted(weights)
        self._join() if self._section.base_url else self._serve(wanted)
        assert self._api is not None
        assert self._base is not None
        served = self._put_on(wanted.adapter)
        require_same_prompts(self._api, served, self._chat)
        line = Line(
            self._api.base_url,
            self._key,
            allow_remote=self._section.allow_remote,
            concurrency=self._section.concurrency,
            timeout_s=self._section.timeout_s,
            retries=OTHERS if self._section.base_url else OWN,
            lost=self._lost,
        )
        context = self._base.max_model_len or _NO_LIMIT
        completer = VllmCompleter(line, served, template=self._chat, engine=self._engine(weights), context=context)
        self._open = (weights, completer)
        return completer

    def close(self) -> None:
        """Let the server forget what it was given, or stop it where it is ours."""
        try:
            self._shut()
            if self._api is not None:
                if self._server is None:  # ours forgets when it ends
                    self._take_off()
                self._api.__exit__()
        finally:
            self._api = self._base = self._serves = None
            self._adapter = ""
            if self._server is not None:
                self._server.stop()
                self._server = None
            for kept in ("base", "merged"):
                shutil.rmtree(self._home / kept, ignore_errors=True)

    @property
    def _chat(self) -> ChatTemplate:
        if self._template is None:
            model = self._recipe.model
            self._template = load_template(
                model.id,
                revision=model.revision,
                offline=self._offline,
                template=template_of(model, self._recipe.folder),
                new_tokens=model.new_tokens,
            )
        return self._template

    @property
    def _key(self) -> str:
        return self._server.key if self._server is not None else read_key(self._section.key_variable)

    def _shut(self) -> None:
        if self._open is not None:
            self._open[1].__exit__()
            self._open = None

    def _lost(self) -> str:
        server = self._server
        return server.tail() or "(nothing)" if server is not None and not server.running else ""

    def _wanted(self, weights: Path | None) -> Wanted:
        """What must be served for ``weights``, and is it possible at all."""
        if weights is None or (is_adapter(weights) and not (why := why_not(weights))):
            return Wanted(self._where, None, weights)
        whole = not is_adapter(weights)
        why = "it is a whole model" if whole else why
        if not whole and kind_of(weights) in IN_NO_WEIGHT:
            raise AdapterRefused(
                f"{why}, which cannot be merged", where=str(weights), remedy="take tune.method: {kind: lora}"
            )
        if self._section.base_url:
            raise AdapterRefused(
                f"{why}: a server would have to be started on the merged weights, and this one is not ours",
                where=str(weights),
                remedy="take tune.method: {kind: lora}, or let the run start the server: leave "
                "engines.sampling.base_url out",
            )
        return Wanted("named" if whole else "merged", weights)

    @property
    def _where(self) -> Literal["named", "base"]:
        """Whether vLLM can be given the starting model by its name, or needs it in a folder."""
        model = self._recipe.model
        named = model.id not in {TINY, *ALIASES} and not model.id.endswith(".gguf") and not model.new_tokens
        return "named" if named else "base"

    def _join(self) -> None:
        if self._base is not None:
            return
        section = self._section
        check_address(section.base_url, section.allow_remote)
        self._api = VllmApi(section.base_url, self._key, allow_remote=section.allow_remote)
        self._base = _base_model(self._api, section.served_model or self._recipe.model.id)
        self._version = self._api.version()

    def _serve(self, wanted: Wanted) -> None:
        """Let a server of ours serve the model, with room for the adapter."""
        rank = room_for(rank_of(wanted.adapter)) if wanted.adapter is not None else 0
        server = self._server
        if server is not None and server.running and self._serves is not None:
            same = (self._serves.kept, self._serves.model) == (wanted.kept, wanted.model)
            if same and rank <= server.launch.max_lora_rank:
                return
        self.close()
        require_command()
        model, section = self._recipe.model, self._section
        template = self._home / "chat_template.jinja"
        write_atomic(template, self._chat.program)
        served = self._folder(wanted)
        dtype = "float32" if (model.id, model.dtype) == (TINY, "auto") else _arithmetic(self._recipe)
        launch = Launch(
            model=str(served) if served is not None else model.id,
            chat_template=template,
            revision=model.revision if served is None else None,
            dtype=dtype,
            max_lora_rank=rank,
            gpu_memory=section.gpu_memory,
            tensor_parallel=section.tensor_parallel,
            max_model_len=section.max_model_len,
            device=model.device,
            offline=self._offline,
        )
        self._server = VllmServer(launch, log=self._home / LOG, start_s=section.start_s)
        say([f"A vLLM server is started for {launch.model}; what it says is in {self._home / LOG}"], self._emit)
        self._server.start()
        self._api = VllmApi(self._server.url, self._server.key)
        self._base = _base_model(self._api, SERVED)
        self._serves, self._version = wanted, self._api.version()

    def _folder(self, wanted: Wanted) -> Path | None:
        """The folder to serve, written if it must be; None: vLLM finds the model by its name."""
        if wanted.kept == "named":
            named = wanted.model or Path(self._recipe.model.id).expanduser()
            return named.resolve() if named.is_dir() else None
        folder = self._home / wanted.kept
        shutil.rmtree(folder, ignore_errors=True)
        save_folder(self._load(wanted.model), folder)
        release_memory()
        return folder.resolve()

    def _put_on(self, adapter: Path | None) -> str:
        """Return the name of the model to ask, after its adapter took the place of the one before."""
        assert self._api is not None
        assert self._base is not None
        name = name_of(adapter) if adapter is not None else ""
        if self._adapter != name:
            self._take_off()
        if adapter is None:
            return self._base.id
        if self._adapter != name and name not in {card.id for card in self._api.models()}:
            self._api.load(name, adapter)
        self._adapter = name
        return name

    def _take_off(self) -> None:
        if self._adapter and self._api is not None:
            self._api.unload(self._adapter)
        self._adapter = ""

    def _engine(self, weights: Path | None) -> Engine:
        there = f" at {public_address(self._section.base_url)}" if self._section.base_url else ""
        name = self._recipe.model.id + (f" + {identity_of(weights)}" if weights is not None else "")
        dtype = self._server.launch.dtype if self._server is not None else ""
        program = f"vllm {self._version or 'of unknown version'}{there}"
        return Engine(model=name, engine=program, dtype=dtype, template=self._chat.digest)


def identity_of(weights: Path) -> str:
    """Return a name of tuned weights that is equal for equal ones alone."""
    if is_adapter(weights):
        return name_of(weights)
    files = "".join(f"{file.name} {sha256_file(file)}\n" for file in sorted(weights.glob("*.safetensors")))
    return f"model-{hashlib.sha256(files.encode()).hexdigest()[:24]}"


def _base_model(api: VllmApi, wanted: str) -> Card:
    """Return the card of the model ``wanted``, by name or by where its weights lie."""
    cards = [card for card in api.models() if card.parent is None]
    place = Path(wanted).expanduser()
    names = {wanted, str(place.resolve())} if place.is_dir() else {wanted}
    found = next((card for card in cards if card.id in names or card.root in names), None)
    if found is None:
        shown = ", ".join(card.id if card.root in (None, card.id) else f"{card.id} ({card.root})" for card in cards)
        raise CompletionError(
            f"the vLLM server does not serve the starting model {wanted}",
            where=public_address(api.base_url),
            received=f"it serves {shown or 'nothing'}",
            remedy="start it with that model; or, if it is the same under another name, say so: "
            "engines.sampling.served_model",
        )
    return found


def _arithmetic(recipe: Recipe) -> str:
    """The arithmetic that the local engine would take."""
    return str(pick_dtype(recipe.model.dtype, pick_device(recipe.model.device))).removeprefix("torch.")
