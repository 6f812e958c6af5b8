"""Log-probabilities as the chat completions protocol writes them."""

from pydantic import BaseModel, Field, JsonValue

from tutelage.records.logprobs import TokenChoices, bytes_as_text


class _Likely(BaseModel):
    token: str
    logprob: float = Field(allow_inf_nan=False)
    # None where the token is no text that has bytes, and at servers that leave them out.
    bytes: list[int] | None = None

    @property
    def written(self) -> str:
        return bytes_as_text(self.token.encode() if self.bytes is None else bytes(self.bytes))


class _Token(_Likely):
    top_logprobs: list[_Likely] = Field(default_factory=list)


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


def read_choices(written: JsonValue) -> tuple[TokenChoices, ...] | None:
    """Return the tokens of an answer with those that stood to choice; None where ``written`` does not say them.

    A logarithm above 0, which rounding makes, is 0.
    """
    try:
        content = _Logprobs.model_validate(written).content
        if not content:
            return None
        return tuple(
            TokenChoices(
                token=token.written,
                logprob=min(0.0, token.logprob),
                top=tuple((other.written, min(0.0, other.logprob)) for other in token.top_logprobs),
            )
            for token in content
        )
    except ValueError:  # of pydantic, and of bytes that are none
        return None
