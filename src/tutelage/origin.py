"""What figures are made with: the code of this package, the packages beneath it, the machine, the starting model."""

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import Field, JsonValue

from tutelage.records import Record

PINNED_PACKAGES = (
    "tutelage",
    "torch",
    "transformers",
    "peft",
    "ctranslate2",
    "llguidance",
    "tokenizers",
    "numpy",
    "pydantic",
)


class Origin(Record):
    """Code, packages and machine. ``code`` is :func:`code_digest`: two states of a clone have one version, but not one
    digest."""

    code: str
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, JsonValue] = Field(default_factory=dict)


class Origins(Record):
    """All that worked on a run, in the order in which they came; one, unless something changed on the way."""

    origins: tuple[Origin, ...]


class ModelOrigin(Record):
    """A starting model as it was loaded.

    ``model`` names the weights (name and digest, or the commit of a hub id), ``template`` is the digest of tokenizer
    and chat template, ``device`` the kind of device.
    """

    model: str
    template: str
    dtype: str
    device: str


def origin() -> Origin:
    """Return what works here and now."""
    return Origin(code=code_digest(), versions=versions(), machine=machine())


@cache
def code_digest() -> str:
    """Return 16 hexadecimal digits of the SHA-256 over names and contents of this package's files, data included."""
    digest = hashlib.sha256()
    _add(digest, files("tutelage"), "")
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PINNED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, JsonValue]:
    """Return what kind of machine this is, without its name."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _add(digest: "hashlib._Hash", place: Traversable, name: str) -> None:
    if place.is_dir():
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
            if entry.name != "__pycache__":
                _add(digest, entry, f"{name}/{entry.name}")
        return
    digest.update(f"{name}\n".encode())
    digest.update(hashlib.sha256(place.read_bytes()).digest())
