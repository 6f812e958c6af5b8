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


class EndpointTeacher(Section):
    """A model behind an OpenAI-compatible endpoint."""

    kind: Literal["endpoint"]

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
    """Most seconds that one request waits between its tries; where the endpoint asks to wait longer, the run stops."""

    price: Price | None = None
    """What it takes; null: it is not known, or it is free."""

    ceiling: Ceiling | None = None
    """The most that may be spent; null: as much as it takes."""

    ask_again: bool = False
    """Whether what was refused for good (too long, filtered) is asked again when the run goes on."""

    @model_validator(mode="after")
    def _money_needs_a_price(self) -> Self:
        if self.ceiling is not None and self.ceiling.money is not None and self.price is None:
            raise PydanticCustomError(
                "price", "a ceiling in money needs a price", {"remedy": "give teacher.price, or a ceiling in tokens"}
            )
        return self


HOW_IT_IS_ASKED = {
    "concurrency",
    "timeout_s",
    "connect_timeout_s",
    "retries",
    "patience_s",
    "price",
    "ceiling",
    "ask_again",
}
"""Keys that change no answer, and may differ when a run goes on."""
