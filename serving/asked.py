"""What requests say about the shape of their answers, whatever the engine; the rest is ignored."""

import msgspec

from serving.written import plain_text

LOGPROBS = "message.output_text.logprobs"
"""What `include` says on /v1/responses."""


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = False


class ChatBody(msgspec.Struct):
    messages: list[dict[str, object]]
    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    n: int | None = 1
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None
    parallel_tool_calls: bool | None = True
    include_reasoning: bool = True
    continue_final_message: bool = False
    """vLLM's: the last message is the beginning of the answer."""
    return_token_ids: bool | None = None

    @property
    def prompt_tokens(self) -> int:
        """Words, and three tokens of template a message; none for one that is gone on with."""
        begun = 3 if self.continue_final_message else 0
        return sum(len(plain_text(m.get("content")).split()) + 3 for m in self.messages) - begun

    @property
    def last_words(self) -> str:
        """The text of the last message of the user."""
        users = [m for m in self.messages if m.get("role") == "user"]
        return plain_text(users[-1].get("content")) if users else ""

    @property
    def limit(self) -> tuple[str, int | None]:
        """Which field limits the answer, and to what."""
        if self.max_completion_tokens is not None:
            return "max_completion_tokens", self.max_completion_tokens
        return "max_tokens", self.max_tokens

    @property
    def stops(self) -> list[str]:
        return as_list(self.stop)

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def brings_tools(self) -> bool:
        return bool(self.tools) and self.tool_choice != "none"


class CompletionBody(msgspec.Struct):
    prompt: str | list[str | int | list[int]] | None = None
    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: int | None = None
    n: int | None = 1
    temperature: float | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    echo: bool | None = False
    prompt_logprobs: int | None = None
    return_token_ids: bool | None = None

    @property
    def prompt_ids(self) -> list[list[int] | None]:
        """Of each prompt that came as token ids."""
        match self.prompt:
            case [int(), *_]:
                return [[each for each in self.prompt if isinstance(each, int)]]
            case list():
                return [each if isinstance(each, list) else None for each in self.prompt]
            case _:
                return [None]

    @property
    def prompts(self) -> list[str]:
        """Token ids become made-up words."""
        match self.prompt:
            case None:
                return []
            case str():
                return [self.prompt]
            case [int(), *_]:
                return [_words_of(self.prompt)]
            case _:
                return [p if isinstance(p, str) else _words_of(p) for p in self.prompt]

    @property
    def stops(self) -> list[str]:
        return as_list(self.stop)

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class ResponseBody(msgspec.Struct):
    input: str | list[dict[str, object]]
    model: str | None = None
    stream: bool | None = False
    store: bool | None = True
    include: list[str] | None = None
    top_logprobs: int | None = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    instructions: str | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = True
    temperature: float | None = None
    top_p: float | None = None
    tools: list[dict[str, object]] = []
    tool_choice: str | dict[str, object] = "auto"
    background: bool | None = False
    max_tool_calls: int | None = None
    reasoning: dict[str, object] | None = None
    service_tier: str = "auto"
    text: dict[str, object] | None = None
    truncation: str | None = "disabled"
    user: str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None

    @property
    def wants_logprobs(self) -> bool:
        return LOGPROBS in (self.include or ())

    @property
    def last_words(self) -> str:
        if isinstance(self.input, str):
            return self.input
        users = [item for item in self.input if item.get("role") == "user"]
        return plain_text(users[-1].get("content")) if users else ""

    @property
    def prompt_tokens(self) -> int:
        """Words, and three tokens of template an item."""
        items = [self.input] if isinstance(self.input, str) else [_text_of(i) for i in self.input]
        texts = [self.instructions, *items] if self.instructions else items
        return sum(len(text.split()) + 3 for text in texts)

    @property
    def stops(self) -> list[str]:
        return as_list(self.stop)

    @property
    def brings_tools(self) -> bool:
        return bool(self.tools) and self.tool_choice != "none"


class EmbeddingBody(msgspec.Struct):
    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: str = "float"
    dimensions: int | None = None

    @property
    def inputs(self) -> list[str]:
        """Token ids become made-up words."""
        match self.input:
            case str():
                return [self.input]
            case [int(), *_]:
                return [_words_of(self.input)]
            case _:
                return [i if isinstance(i, str) else _words_of(i) for i in self.input]


class TokenizeBody(msgspec.Struct):
    model: str | None = None
    prompt: str | None = None
    messages: list[dict[str, object]] | None = None
    return_token_strs: bool | None = False
    content: str | None = None
    """llama.cpp's own word for the prompt."""


class DetokenizeBody(msgspec.Struct):
    tokens: list[int]
    model: str | None = None

    @property
    def words(self) -> str:
        """Made-up ids cannot be read back: each becomes a made-up word."""
        return _words_of(self.tokens)


def as_list(stop: str | list[str] | None) -> list[str]:
    return [stop] if isinstance(stop, str) else stop or []


def _text_of(item: dict[str, object]) -> str:
    return plain_text(item.get("content") or item.get("output"))


def _words_of(ids: object) -> str:
    return " ".join(f"word{number}" for number in ids) if isinstance(ids, list) else f"word{ids}"
