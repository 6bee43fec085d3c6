"""The one table of what engines that speak the same API do differently."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Differences:
    """Where engines that speak the same API are known not to agree."""

    refuses_unknown_models: bool
    refuses_more_than_20_top_logprobs: bool
    top_logprobs_by_default: int
    """How many alternatives come with `logprobs` alone."""
    opening_content: str | None
    """The content of the role chunk."""
    end_token_has_a_logprob: bool
    """In a chat stream, where it has no text; whole answers count it everywhere."""
    usage_counts_every_choice: bool
    """With n > 1; the other way counts the tokens of one choice."""
    follows_json_schema: bool
    """A scripted engine says what it is told, whatever the schema."""
    refuses_max_tokens_beyond_the_context: bool
    completions_logprobs_like_chat: bool
    """`content` entries; the other way is OpenAI's four lists."""
    completions_echo: bool
    completions_usage_has_a_chunk_of_its_own: bool
    """Only when asked for; the other way rides on the last chunk of every choice, asked or not."""
    null_between_prompts: bool
    """Several prompts in one stream: events whose data is `null`."""
    responses_tell_when_cut: bool
    """By the status `incomplete`; the other way says `completed` whatever happened."""
    responses_number_their_events: bool
    """sequence_number, output_index and content_index."""
    responses_have_logprobs: bool
    """The other way refuses `top_logprobs` there."""
    stores_responses: bool
    embeds: bool
    """A generating engine that also embeds is the scripted one's freedom."""
    tokenizes: str
    """The field of /tokenize that holds the text."""
    detokenizes: str
    """The field of /detokenize's answer that holds the text."""
    tells_token_ids: bool
    """With `return_token_ids`; and reads prompts of them, with `prompt_logprobs`."""


VLLM = Differences(
    refuses_unknown_models=True,
    refuses_more_than_20_top_logprobs=True,
    top_logprobs_by_default=0,
    opening_content="",
    end_token_has_a_logprob=True,
    usage_counts_every_choice=True,
    follows_json_schema=True,
    refuses_max_tokens_beyond_the_context=True,
    completions_logprobs_like_chat=False,
    completions_echo=True,
    completions_usage_has_a_chunk_of_its_own=True,
    null_between_prompts=False,
    responses_tell_when_cut=True,
    responses_number_their_events=True,
    responses_have_logprobs=True,
    stores_responses=True,  # started with VLLM_ENABLE_RESPONSES_API_STORE=1
    embeds=False,
    tokenizes="prompt",
    detokenizes="prompt",
    tells_token_ids=True,
)
LLAMACPP = Differences(
    refuses_unknown_models=False,
    refuses_more_than_20_top_logprobs=False,
    top_logprobs_by_default=20,
    opening_content=None,
    end_token_has_a_logprob=False,
    usage_counts_every_choice=False,
    follows_json_schema=True,
    refuses_max_tokens_beyond_the_context=False,
    completions_logprobs_like_chat=True,
    completions_echo=False,
    completions_usage_has_a_chunk_of_its_own=False,
    null_between_prompts=True,
    responses_tell_when_cut=False,
    responses_number_their_events=False,
    responses_have_logprobs=False,
    stores_responses=False,
    embeds=False,
    tokenizes="content",
    detokenizes="content",
    tells_token_ids=False,
)
DIFFERENCES = {
    "scripted": replace(VLLM, follows_json_schema=False, embeds=True),
    "scripted-llamacpp": replace(LLAMACPP, follows_json_schema=False, embeds=True),
    "llamacpp": LLAMACPP,
    "vllm": VLLM,
}
