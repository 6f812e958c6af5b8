"""A folder to a hub: refused unless it can be done, told before it is done.

Tests push to a hub of their own on loopback, over plain HTTP; to a real one, which takes large files by its own
protocol (Xet), nothing has ever been sent.
"""

import os
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from tutelage.errors import InputErrors, ModelError, Problem
from tutelage.models.faults import InWords

TOKEN, OFFLINE = "HF_TOKEN", "HF_HUB_OFFLINE"
Holds = Literal["model", "dataset"]


def require_push(repository: str, *, offline: bool, command: str) -> None:
    """Raise :class:`InputErrors` with all that stands in the way of sending a folder to ``repository``."""
    problems = []
    try:
        validate_repo_id(repository)
        if repository.count("/") != 1:
            problems.append(Problem("the id of a repository has an owner", "--push", repository, "give owner/name"))
    except HFValidationError as error:
        problems.append(Problem("this is no id of a repository", "--push", str(error), "give owner/name"))
    if offline:
        problems.append(Problem("nothing is sent under --offline", "--push", repository, "leave one of them out"))
    elif os.environ.get(OFFLINE, "").upper() in {"1", "ON", "YES", "TRUE"}:
        problems.append(Problem("nothing is sent in offline mode", OFFLINE, os.environ[OFFLINE], "unset it"))
    if not os.environ.get(TOKEN):
        remedy = "put a token that may write into the environment: export HF_TOKEN=..."
        problems.append(Problem("there is no token for the hub", TOKEN, remedy=remedy))
    if problems:
        raise InputErrors(command, problems)


def files_to_send(folder: Path) -> list[tuple[str, int]]:
    """Return names and bytes of all that :func:`push` would send."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return [(str(file.relative_to(folder)), file.stat().st_size) for file in found]


def push(folder: Path, repository: str, *, holds: Holds) -> str:
    """Send all files of ``folder`` to ``repository``, which is made (private) if it is not there; return its address.

    Raises
    ------
    ModelError: the hub refuses. The folder stays as it is.
    """
    api = HfApi(token=os.environ[TOKEN])
    with InWords(lambda reason: _refused(repository, reason)):
        address = api.create_repo(repository, repo_type=holds, private=True, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, repo_type=holds, commit_message="Written by tutelage")
    return str(address)


def _refused(repository: str, reason: str) -> ModelError:
    return ModelError(
        "the hub did not take the folder",
        where=repository,
        received=reason,
        remedy="the folder is whole; look at token and id, and send it with: hf upload",
    )
