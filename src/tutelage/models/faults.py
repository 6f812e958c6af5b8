"""What the libraries below raise on broken files, turned into one error in words."""

import struct
from collections.abc import Callable
from types import TracebackType

import torch
from safetensors import SafetensorError

from tutelage.errors import DataError, ModelError

_FOREIGN = (
    OSError,
    ValueError,
    RuntimeError,  # NotImplementedError too
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    struct.error,
    SafetensorError,
)
_LONGEST = 300


class InWords:
    """A block in which a fault of transformers, peft, gguf, tokenizers or the hub becomes what ``write`` makes of it.

    ``write`` gets the fault in one line. Errors of our own pass through.
    """

    def __init__(self, write: Callable[[str], ModelError | DataError]) -> None:
        self._write = write

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the written error if the block ended in a fault from below."""
        if is_out_of_memory(fault):
            written = self._write("")
            raise ModelError(
                "the memory does not suffice for this model",
                where=written.problem.where if isinstance(written, ModelError) else written.subject,
                received=_in_a_line(fault),
                remedy="choose a smaller model, model.dtype bfloat16, or a machine with more memory",
            ) from fault
        if isinstance(fault, _FOREIGN) or _is_bare(fault):
            raise self._write(f"{type(fault).__name__}: {_in_a_line(fault)}") from fault


def is_out_of_memory(fault: BaseException | None) -> bool:
    """Whether ``fault`` says that memory, of the machine or of an accelerator, was refused."""
    said = str(fault).casefold()
    refused = "allocate memory" in said or "out of memory" in said
    return isinstance(fault, MemoryError | torch.OutOfMemoryError) or (
        isinstance(fault, RuntimeError | OSError) and refused
    )


def _in_a_line(fault: BaseException | None) -> str:
    return str(fault).strip().split("\n")[0][:_LONGEST]


def _is_bare(fault: BaseException | None) -> bool:
    # tokenizers raises Exception itself for every broken tokenizer.json; some errors of huggingface_hub derive from
    # nothing else, and which there are differs by version, as does the client whose broken connections it passes on.
    return type(fault) is Exception or type(fault).__module__.startswith(("huggingface_hub", "httpx", "datasets"))
