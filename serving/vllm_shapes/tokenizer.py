"""`POST /tokenize` and `/detokenize`, which lie beside /v1: one made-up id a word."""

import msgspec

from serving.asked import DetokenizeBody, TokenizeBody
from serving.dialect import Facts, encode
from serving.vllm_shapes.errors import check_model, unreadable
from serving.vllm_shapes.token_ids import conversation_ids
from serving.written import plain_text, token_id, words


def tokenize(raw: bytes, facts: Facts) -> bytes:
    """The same word always has the same id. Messages are a conversation that wants an answer."""
    try:
        body = msgspec.json.decode(raw, type=TokenizeBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    text = body.prompt
    if text is None:
        text = " ".join(plain_text(m.get("content")) for m in body.messages or ())
    strings = words(text)
    ids = [token_id(each.strip()) for each in strings]
    if body.prompt is None:
        ids = conversation_ids(body.messages or ())
    return encode(
        {
            "count": len(ids),
            "max_model_len": facts.context_tokens,
            "tokens": ids,
            "token_strs": strings if body.return_token_strs else None,
        },
    )


def detokenize(raw: bytes, facts: Facts) -> bytes:
    try:
        body = msgspec.json.decode(raw, type=DetokenizeBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    return encode({"prompt": body.words})
