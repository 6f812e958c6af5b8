"""A teacher behind an endpoint: its address, how it is asked, and what may be spent on it."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tutelage.recipe.base import Section


class Price(Section):
    """What an endpoint takes for a million tokens, in whatever currency it bills; the ceiling is in the same."""

    prompt: float = Field(ge=0)
    """A million tokens that are sent."""

    completion: float = Field(ge=0)
    """A million tokens that are written."""


class Ceiling(Section):
    """The most that may be spent over the whole run: all rounds, resumed or not. What may be passed ends the asking
    before it is: the run stops in words, and goes on when the ceiling is raised."""

    money: float | None = Field(default=None, gt=0)
    """In the currency of the price, which it needs; null sets no ceiling."""

    tokens: int | None = Field(default=None, ge=1)
    """Sent and written together; null sets no ceiling."""

    hours: float | None = Field(default=None, gt=0)
    """Time in which the endpoint is asked; null sets no ceiling."""


class Endpoint(Section):
    """A model behind an OpenAI-compatible endpoint, and how it is asked."""

    base_url: str
    """For example http://127.0.0.1:8000/v1."""

    model: str
    """The model's name at the endpoint."""

    key_variable: str = ""
    """Name of the environment variable that holds the key; empty where none is needed."""

    allow_remote: bool = False
    """Must be true for an endpoint that is not on this machine: items are sent to it."""

    concurrency: int = Field(default=8, ge=1)
    """Most requests in flight, never more than 1,024; fewer are sent while the endpoint turns requests away."""

    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds within which an answer must be there, once the connection stands."""

    connect_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds within which a connection must stand."""

    retries: int = Field(default=6, ge=0)
    """Further tries of a request after a fault that may pass (429, 5xx, a time-out, a lost connection, no JSON)."""

    patience_s: float = Field(default=600.0, ge=0)
    """Most seconds that one request waits between its tries; where the endpoint asks to wait longer, it is asked
    nothing more: the next one is, or the run stops."""

    price: Price | None = None
    """What it takes; null: it is not known, or it is free."""

    image_tokens: int = Field(default=49_152, ge=1)
    """Most tokens that one image can be there, for the ceiling. The default is above every count that was found
    documented (48,169); a model that counts fewer reaches nearer to the ceiling with its own number."""


class EndpointTeacher(Endpoint):
    """A model behind an OpenAI-compatible endpoint."""

    kind: Literal["endpoint"]

    fallback: tuple[Endpoint, ...] = ()
    """Further endpoints, in order, each asked for what those before it do not answer: all that is open where one
    cannot be used, a single request that it refuses or gives up on. They see the same items."""

    ceiling: Ceiling | None = None
    """The most that may be spent on all endpoints together; null: as much as it takes."""

    ask_again: bool = False
    """Whether what was refused for good (too long, filtered) is asked again when the run goes on."""

    media: str | None = None
    """Folder that the paths of images and recordings are relative to; null: that of the rows, where one folder holds
    the files of all rows tasks."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints in the order in which they are asked."""
        return (self, *self.fallback)

    def place(self, index: int) -> str:
        """Return where in a recipe the endpoint number ``index`` stands."""
        return "construct.distill.teacher" + (f".fallback.{index - 1}" if index else "")

    @model_validator(mode="after")
    def _money_needs_prices(self) -> Self:
        free = [index for index, endpoint in enumerate(self.endpoints) if endpoint.price is None]
        if self.ceiling is not None and self.ceiling.money is not None and free:
            whose = "" if free == [0] else f": {', '.join(f'{self.place(index)}.price' for index in free)}"
            raise PydanticCustomError(
                "price",
                "a ceiling in money needs a price{whose}",
                {"whose": whose, "remedy": "give teacher.price, or a ceiling in tokens"},
            )
        return self

    @model_validator(mode="after")
    def _each_endpoint_once(self) -> Self:
        named = [(endpoint.base_url.rstrip("/"), endpoint.model) for endpoint in self.endpoints]
        if twice := sorted({f"{model} at {url}" for url, model in named if named.count((url, model)) > 1}):
            raise PydanticCustomError(
                "twice",
                "the same model at the same address is named twice: {twice}",
                {"twice": ", ".join(twice), "remedy": "leave one of them out"},
            )
        return self


HOW_IT_IS_ASKED = {
    "concurrency",
    "timeout_s",
    "connect_timeout_s",
    "retries",
    "patience_s",
    "price",
    "image_tokens",
    "fallback",
    "ceiling",
    "ask_again",
    "media",
}
"""Keys that change no answer that is there, and may differ when a run goes on. ``fallback`` is one of them: who answers
what is still open depends on who can be reached, and each answer says who gave it."""
