"""The endpoints that a recipe names as its teacher, ready to be asked."""

from pathlib import Path

from tutelage.completers.endpoints.address import endpoint_name
from tutelage.completers.endpoints.fallback import FallbackCompleter, Member
from tutelage.completers.endpoints.media import MediaSettings
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.spending import Limits, Paid, Purse, Tariff
from tutelage.completers.protocol import Completer
from tutelage.errors import RunError
from tutelage.recipe import Recipe
from tutelage.recipe.endpoint import Endpoint, EndpointTeacher
from tutelage.recipe.rows import RowsSection
from tutelage.records.jsonl import RecordLog


def open_endpoints(
    teacher: EndpointTeacher,
    *,
    spending: RecordLog[Paid] | None = None,
    media: Path | None = None,
    place: str = Limits().place,
) -> Completer:
    """Return the teacher of a section; ``spending`` holds what was spent on it before, and gets what is.

    ``media`` is the folder of images and recordings, None where nobody knows it; ``place`` is where its ceiling stands
    in the recipe.

    Raises
    ------
    CompletionError: an address or a key cannot be used. RunError: there is a ceiling in money, and money went to an
    endpoint that the recipe no longer names.
    """
    purses = _purses(teacher, spending, place)
    members = [
        Member(purse.to, _open(endpoint, purse, media))
        for endpoint, purse in zip(teacher.endpoints, purses, strict=True)
    ]
    return FallbackCompleter(members) if teacher.fallback else members[0].completer


def media_folder(recipe: Recipe, teacher: EndpointTeacher) -> Path | None:
    """Return what the paths of images and recordings are relative to: the folder that the teacher's section names, else
    that of the files of rows, where it is one for all of them."""
    if teacher.media is not None:
        return recipe.folder / teacher.media
    folders = {(recipe.folder / task.path).parent for task in recipe.tasks if isinstance(task, RowsSection)}
    return folders.pop() if len(folders) == 1 else None


def _purses(teacher: EndpointTeacher, spending: RecordLog[Paid] | None, place: str) -> list[Purse]:
    ceiling = teacher.ceiling
    limits = None if ceiling is None else Limits(ceiling.money, ceiling.tokens, ceiling.hours, place)
    names = [endpoint_name(endpoint.model, endpoint.base_url) for endpoint in teacher.endpoints]
    first = Purse(_tariff(teacher), limits, log=spending, to=names[0])
    purses = [
        first,
        *(first.beside(_tariff(one), to=name) for one, name in zip(teacher.fallback, names[1:], strict=True)),
    ]
    if first.unpriced and limits is not None and limits.money is not None:
        raise RunError(
            "what was spent in money cannot be counted",
            where=str(spending.path) if spending is not None else "",
            received=f"paid before, and no longer named with a price: {', '.join(first.unpriced)}",
            remedy="name it again under teacher.fallback, or give a ceiling in tokens",
        )
    return purses


def _tariff(endpoint: Endpoint) -> Tariff | None:
    price = endpoint.price
    return None if price is None else Tariff(price.prompt, price.completion)


def _open(endpoint: Endpoint, purse: Purse, media: Path | None) -> RemoteCompleter:
    return RemoteCompleter(
        endpoint.base_url,
        endpoint.model,
        key_variable=endpoint.key_variable,
        allow_remote=endpoint.allow_remote,
        concurrency=endpoint.concurrency,
        patience=Patience(
            retries=endpoint.retries,
            total_s=endpoint.patience_s,
            connect_s=endpoint.connect_timeout_s,
            answer_s=endpoint.timeout_s,
        ),
        purse=purse,
        media=MediaSettings(media, endpoint.image_tokens),
    )
