from pathlib import Path

import pytest

from gateway.config import ConfigError, load, override, secrets

GOOD = """
[upstreams.student]
base_url = "http://127.0.0.1:8101/v1/"
model = "small"
[upstreams.teacher]
base_url = ["http://127.0.0.1:8102/v1", "http://127.0.0.1:8103/v1"]
model = "large"
api_key = { env = "TEACHER_API_KEY" }
[routes.support]
student = "student"
teacher = "teacher"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tutelage.toml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    return str(caught.value)


def test_a_small_config_is_enough(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))

    assert settings.upstreams["student"].replicas == ("http://127.0.0.1:8101/v1",)
    assert len(settings.upstreams["teacher"].replicas) == 2
    assert settings.routes["support"].mode == "cascade"
    assert settings.server.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("addition", "key", "words"),
    [
        ("[server]\nprot = 1", "server.prot", "unknown key"),
        ("[server]\ncaller_share = 0", "server.caller_share", "greater than 0"),
        (
            '[upstreams.third]\nbase_url = "http://x"\nmodel = "m"\nbreaker = { failure = 3 }',
            "upstreams.third.breaker.failure",
            "unknown key",
        ),
        (
            '[upstreams.third]\nbase_url = "http://x"\nmodel = "m"\naffinity = "sticky"',
            "upstreams.third.affinity",
            "'none', 'user' or 'prefix'",
        ),
        ("[server]\nport = 70000", "server.port", "65535"),
        ("[server]\nhost = '0.0.0.0'", "server", "tutelage keys create"),
        ("[traces]\nstore = 'redis://x'", "traces.store", "sqlite:///"),
        ("[traces]\ncontent = 'some'", "traces.content", "'full' or 'none'"),
        ("[routes.x]\nstudent = 'student'\nteacher = 'nobody'", "routes.x.teacher", "'nobody'"),
        ("[routes.'a:b']\nstudent = 'student'\nteacher = 'teacher'", "routes.a:b", "pin"),
        (
            "[routes.x]\nstudent = 'student'\nteacher = 'teacher'\ngate = { threshold = 1.5 }",
            "routes.x.gate.threshold",
            "1.5",
        ),
        (
            "[routes.x]\nstudent = 'student'\nteacher = 'teacher'\ngate = { signal = 'luck' }",
            "routes.x.gate.signal",
            "mean_probability",
        ),
        ("[upstreams.x]\nmodel = 'm'\nbase_url = 'localhost:1'", "upstreams.x", "http://"),
        ("[upstreams.x]\nmodel = 'm'", "upstreams.x.base_url", "required"),
    ],
)
def test_a_mistake_is_told_by_key_value_and_fix(
    tmp_path: Path, addition: str, key: str, words: str
) -> None:
    told = refusal(tmp_path, GOOD + addition)

    assert key in told
    assert words in told
    assert "tutelage.toml" in told


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, GOOD + "[server]\nport = -1\nprot = 1\n")

    assert len(told.splitlines()) == 2


def test_a_file_that_is_not_there_or_not_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "missing.toml")
    assert "not TOML" in refusal(tmp_path, "[server")


def test_engines_belong_to_serving_and_are_let_through(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD + "[engines.student]\nanything = 1\n"))

    assert settings.engines == {"student": {"anything": 1}}


def test_a_secret_is_read_from_the_environment_and_never_shown(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))

    found = secrets(settings, {"TEACHER_API_KEY": "s3cret"})

    assert found["teacher"].get_secret_value() == "s3cret"
    assert "s3cret" not in repr(found)


def test_a_secret_that_is_not_set_is_named(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))

    with pytest.raises(ConfigError, match=r"upstreams\.teacher\.api_key.*TEACHER_API_KEY"):
        secrets(settings, {})


def test_the_command_line_overrides_and_is_checked_too(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))

    assert override(settings, host=None, port=9).server.port == 9
    with pytest.raises(ConfigError, match="command line"):
        override(settings, host=None, port=99999)


def test_every_example_that_ships_is_a_config() -> None:
    examples = sorted((Path(__file__).parents[2] / "deploy").glob("*.toml"))

    assert len(examples) >= 2
    for path in examples:
        assert load(path).routes
