"""Whatever is sent to whatever path, the client is told in OpenAI's shape what is wrong with it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.routes import HOT
from tests.journeys.rig import Rig, rig

pytestmark = pytest.mark.anyio

DEEP = 100_000
MALFORMED = {
    "nothing": b"",
    "no JSON": b"model=support",
    "half a JSON": b'{"model":"support","messages":[{"role":"user","con',
    "something after it": b'{"model":"support"} and more',
    "a comma too many": b'{"model":"support",}',
    "not an object": b'["support"]',
    "a byte order mark": b'\xef\xbb\xbf{"model":"support"}',
    "UTF-16": '{"model":"support"}'.encode("utf-16"),
    "a key that is no UTF-8": b'{"\xff":1,"model":"support"}',
    "a model that is no UTF-8": b'{"model":"\xff","messages":[{}],"input":"x","prompt":"x"}',
    "half a surrogate pair": b'{"model":"support","messages":[{"content":"\\ud800"}]}',
    "NaN": b'{"model":"support","messages":[{}],"temperature":NaN}',
    "infinity": b'{"model":"support","messages":[{}],"temperature":-Infinity}',
    "a depth without end": b'{"model":"support","messages":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a model that is none": b'{"model":{"name":"x"},"messages":[{}],"input":"x","prompt":"x"}',
    "an empty model": b'{"model":"","messages":[{}],"input":"x","prompt":"x"}',
    "no model": b'{"messages":[{}],"input":"x","prompt":"x"}',
}


def assert_openai_error(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.fixture(scope="module")
async def on() -> AsyncIterator[Rig]:
    """One for all: nothing here reaches an engine, but where a test says so."""
    routes = {name: {"student": "student", "teacher": "teacher"} for name in ("support", "a/b")}
    async with rig(routes=routes) as running:
        yield running


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_malformed_body_is_refused_on_every_path(on: Rig, what: str) -> None:
    for path in HOT:
        answer = await on.http.post(path, content=MALFORMED[what])

        assert_openai_error(answer, 400)


@pytest.mark.parametrize("n", ["0", "-1", "129", "1e3", "1.5", "true", '"2"', "9" * 30, "9" * 5000])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_a_number_of_choices_that_nobody_can_want_is_refused(
    on: Rig, path: str, n: str
) -> None:
    body = f'{{"model":"support","messages":[{{}}],"prompt":"x","n":{n}}}'
    error = assert_openai_error(await on.http.post(path, content=body), 400)

    assert error["param"] == "n"


async def test_more_choices_than_fit_one_answer_are_refused(on: Rig) -> None:
    body = {"model": "support", "prompt": ["x"] * 100, "n": 100}
    error = assert_openai_error(await on.http.post("/v1/completions", json=body), 400)

    assert error["param"] == "prompt"
    assert "10000 choices" in error["message"]


@pytest.mark.parametrize("options", ['{"\udcff":1}', '{"a":' + "[" * 990 + "]" * 990 + "}"])
async def test_stream_options_that_cannot_be_read_are_the_clients_fault(
    on: Rig, options: str
) -> None:
    body = f'{{"model":"support","messages":[{{}}],"stream":true,"stream_options":{options}}}'
    raw = body.encode(errors="surrogateescape")

    assert_openai_error(await on.http.post("/v1/chat/completions", content=raw), 400)


async def test_a_key_that_is_given_twice_counts_as_it_was_given_last(on: Rig) -> None:
    body = b'{"model":"nowhere","messages":[{}],"model":"support:teacher","seed":1,"seed":2}'
    await on.http.post("/v1/chat/completions", content=body)

    assert on.teacher.requests[-1].body["seed"] == 2


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_body_that_is_declared_as_no_json_is_refused(on: Rig, kind: str) -> None:
    for path in HOT:
        answer = await on.http.post(path, content=b"{}", headers={"content-type": kind})

        assert kind in assert_openai_error(answer, 415)["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_a_wrong_method_is_told_the_right_one(on: Rig, method: str) -> None:
    for path in HOT:
        answer = await on.http.request(method, path)

        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        if method != "HEAD":
            assert_openai_error(answer, 405)


async def test_a_wrong_method_is_told_all_that_a_path_knows(on: Rig) -> None:
    answer = await on.http.put("/v1/responses/resp_1~support~student")

    assert_openai_error(answer, 405)
    assert answer.headers["allow"] == "DELETE, GET"


async def test_a_whole_number_may_be_written_with_a_point(on: Rig) -> None:
    body = b'{"model":"nowhere","messages":[{}],"n":2.0}'

    error = assert_openai_error(await on.http.post("/v1/chat/completions", content=body), 404)

    assert error["param"] == "model"


async def test_a_limit_that_the_gateway_cannot_read_is_the_engines_to_refuse(on: Rig) -> None:
    more = {"prompt": "x", "messages": [{"role": "user", "content": "x"}], "input": "x"}
    body = {"model": "support", "max_tokens": "many", "max_output_tokens": "many", **more}
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses"):
        error = assert_openai_error(await on.http.post(path, json=body), 400)

        assert error["message"].startswith("teacher: ")


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/v1/responses/input_tokens"])
async def test_what_no_local_engine_has_is_not_found(on: Rig, path: str) -> None:
    assert_openai_error(await on.http.post(path, json={"model": "support", "input": "x"}), 404)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/chat", "/v1/models/", "/v1/no/such", "/%00"]
)
async def test_a_path_that_is_not_there_is_told_where_to_look(on: Rig, path: str) -> None:
    error = assert_openai_error(await on.http.get(path), 404)

    assert "/openapi.json" in error["message"] or error["code"] == "model_not_found"


async def test_a_model_with_a_slash_in_its_name_is_found(on: Rig) -> None:
    for name in ("a/b", "a/b:teacher"):
        assert (await on.openai.models.retrieve(name)).id == name
