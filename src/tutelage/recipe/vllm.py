"""vLLM as the engine that samples: a server that the run starts, or one that is there already."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.base import Section


class VllmEngine(Section):
    """A vLLM server (extra ``vllm``, or its command in another environment), started for each stage that samples, or
    joined at ``base_url``; makes training data, never scores. It loads the adapter of the model that is sampled. Where
    it cannot answer, the transformers engine does, with a note."""

    kind: Literal["vllm"]

    base_url: str = ""
    """A server that is there already, for example http://127.0.0.1:8000/v1; empty: the run starts one."""

    served_model: str = ""
    """The name by which the server at ``base_url`` knows the starting model; empty: ``model.id``."""

    key_variable: str = ""
    """Name of the environment variable that holds the key of the server at ``base_url``; empty where it has none."""

    allow_remote: bool = False
    """Must be true for a ``base_url`` that is not on this machine: train items are sent to it."""

    concurrency: int = Field(default=256, ge=1)
    """Most requests in flight, never more than 1,024; fewer are sent while the server turns requests away."""

    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds within which an answer must be there, those of waiting at the server included."""

    start_s: float = Field(default=900.0, gt=0)
    """Seconds within which a started server must be up: it loads the model, and compiles the first time."""

    gpu_memory: float = Field(default=0.8, gt=0, le=1)
    """Share of the GPU's memory that a started server takes, which must be free. It is stopped before this process
    loads a model."""

    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that a started server spreads the model over."""

    max_model_len: int | None = Field(default=None, ge=1)
    """Most tokens of prompt and answer together of a started server; null: what the model was made for."""

    fallback: bool = True
    """Whether the transformers engine answers where vLLM cannot; false: the run stops and says why."""


ONLY_JOINED = ("served_model", "key_variable", "allow_remote")
"""Keys that a server which the run starts does not need."""
ONLY_STARTED = ("start_s", "gpu_memory", "tensor_parallel", "max_model_len")
"""Keys that a server which is there already has settled."""
HOW_IT_IS_REACHED = {
    "base_url",
    "key_variable",
    "allow_remote",
    "concurrency",
    "timeout_s",
    "start_s",
    "gpu_memory",
    "tensor_parallel",
    "fallback",
}
"""Keys that change no answer that is asked for, and may differ when a run goes on."""
