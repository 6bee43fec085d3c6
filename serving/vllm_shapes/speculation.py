"""What vLLM tells of drafts beside an answer, with `--per-request-spec-decode-metrics summary`."""

from serving.say import Say


def draft_metrics(say: Say, *, choices: int) -> dict[str, object] | None:
    """The `metrics` of an answer; of several choices vLLM tells none."""
    drafted = say.drafted
    if drafted is None or choices != 1:
        return None
    each = drafted.tokens // drafted.steps if drafted.steps else 0
    return {
        "speculative_decoding": {
            "mean_acceptance_length": 1 + drafted.accepted / max(1, drafted.steps),
            "draft_acceptance_rate": drafted.accepted / max(1, drafted.tokens),
            "num_spec_steps": drafted.steps,
            "num_accepted_draft_tokens": drafted.accepted,
            "num_draft_tokens": drafted.tokens,
            "num_spec_tokens": each,
        }
    }
