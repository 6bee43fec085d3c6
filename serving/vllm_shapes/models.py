"""`GET /v1/models`, and what marks an answer as vLLM's."""

from serving.dialect import CREATED, Facts, encode

FINGERPRINT = "vllm-0.32.0-scripted"


def models(facts: Facts) -> bytes:
    permission = {
        "id": "modelperm-scripted",
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    card = {
        "id": facts.model,
        "object": "model",
        "created": CREATED,
        "owned_by": "vllm",
        "root": facts.model,
        "parent": None,
        "max_model_len": facts.context_tokens,
        "permission": [permission],
    }
    return encode({"object": "list", "data": [card]})
