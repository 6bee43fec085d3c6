"""Token ids are cut out of an engine's bytes, and nothing else is."""

import json

from gateway.verify_notes import Notes
from tests.serving.speakers import VLLM, events


def test_ids_are_noted_and_the_rest_stays_byte_for_byte() -> None:
    recorded = VLLM.recorded("chat_token_ids_stop.json")
    said = json.loads(recorded)
    notes = Notes()

    left = notes.take(recorded.encode())

    assert notes.prompt_ids == said.pop("prompt_token_ids")
    assert notes.token_ids == said["choices"][0].pop("token_ids")
    assert json.loads(left) == said
    assert b"token_ids" not in left


def test_a_stream_adds_up() -> None:
    whole, stream = Notes(), Notes()
    whole.take(VLLM.recorded("chat_token_ids_stop.json").encode())

    lines = VLLM.recorded("chat_stream_token_ids_stop.sse").splitlines()
    for line in lines:
        left = stream.take(line.encode())
        assert b"token_ids" not in left

    assert len(events("\n".join(lines))) > 5
    assert (stream.prompt_ids, stream.token_ids) == (whole.prompt_ids, whole.token_ids)


def test_what_a_model_writes_about_ids_is_no_id() -> None:
    text = {"text": 'say ,"token_ids":[1,2] and "prompt_token_ids":[3]', "a": None}
    payload = json.dumps(text, separators=(",", ":")).encode()
    notes = Notes()

    assert notes.take(payload) == payload
    assert notes.token_ids == []
    assert notes.prompt_ids is None


def test_spaces_do_no_harm() -> None:
    notes = Notes()

    assert notes.take(b'{"a": 1, "token_ids": [ 1, 2 ], "b": 2}') == b'{"a": 1, "b": 2}'
    assert notes.token_ids == [1, 2]
