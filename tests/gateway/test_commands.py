"""The commands as a terminal sees them: what is printed, and the exit code."""

import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest

from serving.scripted_engine import Flavour, ScriptedEngine
from serving.scripts import Say, Status
from tests.journeys.rig import rig

pytestmark = pytest.mark.anyio

CONFIG = """
[upstreams.student]
base_url = "{student}"
model = "student"
[upstreams.teacher]
base_url = "{teacher}"
model = "teacher"
[routes.support]
student = "student"
teacher = "teacher"
"""


async def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    def go() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.commands", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    return await anyio.to_thread.run_sync(go)


@contextlib.asynccontextmanager
async def two_engines(
    tmp_path: Path,
    of_student: str = "[upstreams.student]",
    of_route: str = "",
    flavour: Flavour = "vllm",
) -> AsyncIterator[tuple[ScriptedEngine, str]]:
    """The student, and the path of a config that names both."""
    async with (
        ScriptedEngine(model="student", flavour=flavour) as student,
        ScriptedEngine(model="teacher") as other,
    ):
        path = tmp_path / "tutelage.toml"
        text = CONFIG.replace("[upstreams.student]", of_student) + of_route
        path.write_text(text.format(student=student.base_url, teacher=other.base_url))
        yield student, str(path)


async def test_help_lists_every_command() -> None:
    shown = await run("--help")

    for command in ("ask", "doctor", "engines", "gateway", "keys", "traces", "tune", "up"):
        assert f"\n    {command} " in shown.stdout


async def test_check_says_that_a_config_is_good_or_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "tutelage.toml"
    path.write_text(CONFIG.format(student="http://127.0.0.1:1/v1", teacher="http://127.0.0.1:2/v1"))
    good = await run("gateway", "--config", str(path), "--check")
    path.write_text(path.read_text() + "[server]\nprot = 1\n")
    bad = await run("gateway", "--config", str(path), "--check")

    assert (good.returncode, bad.returncode) == (0, 2)
    assert "support" in good.stdout
    assert "server.prot: unknown key" in bad.stderr
    assert "Traceback" not in bad.stderr


async def test_ask_prints_the_answer_and_who_gave_it() -> None:
    async with rig() as on:
        on.student.script(Say("It", " is", " 42", ".", logprob=-0.01))

        asked = await run("ask", "What is it?", "--url", f"{on.url}/v1", "--system", "Be brief.")

        assert asked.returncode == 0
        assert asked.stdout.startswith("It is 42.\n")
        assert "student" in asked.stdout
        assert "confident, confidence 0.9900" in asked.stdout
        assert on.student.requests[0].body["messages"][0]["content"] == "Be brief."


async def test_ask_reads_a_pipe_and_takes_a_pin() -> None:
    async with rig() as on:
        asked = await run(
            "ask", "--model", "support:teacher", "--url", f"{on.url}/v1", stdin="From a pipe?\n"
        )

        assert "pinned" in asked.stdout
        assert on.teacher.requests[0].body["messages"][0]["content"] == "From a pipe?"


async def test_ask_says_what_is_wrong() -> None:
    nobody = await run("ask", "hello", "--url", "http://127.0.0.1:9/v1")
    async with rig() as on:
        unknown = await run("ask", "hello", "--model", "nope", "--url", f"{on.url}/v1")

    assert (nobody.returncode, unknown.returncode) == (1, 1)
    assert "is a gateway running?" in nobody.stderr
    assert "known: support" in unknown.stderr


async def test_doctor_finds_two_healthy_engines_and_a_route_that_works(tmp_path: Path) -> None:
    async with two_engines(tmp_path) as (_, path):
        seen = await run("doctor", "--config", path, "--json")

    found = json.loads(seen.stdout)
    assert seen.returncode == 0
    assert found["routes"]["support"]["works"] is True
    assert len(found["upstreams"]) == 26
    assert all(finding["present"] for finding in found["upstreams"])


async def test_doctor_says_what_a_student_without_logprobs_means(tmp_path: Path) -> None:
    async with two_engines(tmp_path) as (student, path):
        student.script(Say("yes", logprobs=False))
        seen = await run("doctor", "--config", path)

    assert seen.returncode == 1
    assert "gives no logprobs: every request goes to the teacher" in seen.stdout


async def test_doctor_says_what_the_teacher_answers_alone(tmp_path: Path) -> None:
    async with two_engines(tmp_path, flavour="llamacpp") as (_, path):
        seen = await run("doctor", "--config", path, "--json")

    found = json.loads(seen.stdout)["routes"]["support"]
    assert seen.returncode == 0
    assert found["works"] is True
    assert "but for streams with tools and /v1/responses: student gives no" in found["why"]


async def test_doctor_asks_a_dead_engine_nothing_further(tmp_path: Path) -> None:
    async with two_engines(tmp_path) as (student, path):
        await student.close()
        seen = await run("doctor", "--config", path, "--json")

    findings = [
        each for each in json.loads(seen.stdout)["upstreams"] if each["upstream"] == "student"
    ]
    assert seen.returncode == 1
    assert [finding["capability"] for finding in findings] == ["reachable"]


async def test_doctor_says_when_an_engine_refuses_the_priority_of_shadow_calls(
    tmp_path: Path,
) -> None:
    refused = Status(400, {"error": {"message": "Priority scheduling is not enabled."}})
    more = "[upstreams.student]\nbackground_priority = 9", "shadow.rate = 0.1\n"
    async with two_engines(tmp_path, *more) as (student, path):
        student.script(*[Say("yes")] * 7, refused)
        seen = await run("doctor", "--config", path)

    assert seen.returncode == 1
    assert "unset upstreams.student.background_priority" in " ".join(seen.stdout.split())


async def test_doctor_shows_an_engines_own_words(tmp_path: Path) -> None:
    async with two_engines(tmp_path) as (student, path):
        student.script(Status(400, {"error": {"message": "tools need a parser"}}))
        seen = await run("doctor", "--config", path, "--json")

    assert "tools need a parser" in seen.stdout
    assert seen.returncode == 1


async def test_doctor_says_what_the_upstreams_allow_on_a_route(tmp_path: Path) -> None:
    async with two_engines(tmp_path) as (student, path):
        student.script(Say("Yes", "."))
        told = json.loads((await run("doctor", "--config", path, "--json")).stdout)
        shown = (await run("doctor", "--config", path)).stdout

    seen = {(each["upstream"], each["ability"]): each for each in told["abilities"]}
    assert seen["student", "logprobs depth"]["detail"] == "20 alternatives a token"
    assert seen["student", "same tokens"]["present"]
    assert not seen["student", "schema kept"]["present"]
    possible = {each["what"]: each["possible"] for each in told["prospects"]}
    assert possible["a gate by margin"]
    assert not possible["answers by a schema"]
    assert "could have" in shown


async def test_keys_are_made_listed_and_revoked() -> None:
    made = await run("keys", "create", "checkout")
    key_id = made.stdout.split("-")[1]
    revoked = await run("keys", "revoke", key_id)
    listed = await run("keys", "ls")
    again = await run("keys", "revoke", key_id)

    assert made.stdout.startswith("tk-")
    assert "checkout" in revoked.stdout
    assert "revoked" in listed.stdout
    assert made.stdout.strip().rpartition("-")[2] not in listed.stdout
    assert again.returncode == 2
