"""A chat completion as the tour and the recipe read it: its text, its usage, its tokens' odds."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class NotAReply(ValueError):
    """The body is not a chat completion with a text."""


class Token(BaseModel):
    """One token of an answer, as it was written."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str
    logprob: float
    """In nats, given all before it."""


class Usage(BaseModel):
    """Tokens that were read and written."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    content: str


class _Logprobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    content: tuple[Token, ...] | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    message: _Message
    logprobs: _Logprobs | None = None


class Reply(BaseModel):
    """The parts of a chat completion that are read here; all others pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: Usage = Usage()

    @property
    def text(self) -> str:
        """What the first choice says."""
        return self.choices[0].message.content

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The first choice's tokens; none where no logprobs were asked for."""
        logprobs = self.choices[0].logprobs
        return (logprobs.content if logprobs else None) or ()


_SHOWN = 120
"""Characters of a wrong body that an error quotes."""


def read_reply(body: bytes) -> Reply:
    """Raises `NotAReply`, with the beginning of what was there instead."""
    try:
        return Reply.model_validate_json(body)
    except ValidationError as error:
        shown = body[:_SHOWN].decode(errors="replace")
        raise NotAReply(f"not a chat completion: {shown}") from error
