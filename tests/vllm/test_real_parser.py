"""The recorded flags are those of the vLLM that is installed, and it takes what we write."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from serving.command import engine_command
from serving.vllm_flags import RECORDED
from serving.vllm_spec import VllmSpec
from tests.serving.vllm_specs import EVERYTHING, PLAIN

PYTHON = "TUTELAGE_TEST_VLLM_PYTHON"
"""Names the Python that has vLLM; `make test-vllm` sets it."""
HERE = Path(__file__).parent
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
for line in sys.stdin:
    read = make_arg_parser(FlexibleArgumentParser()).parse_args(json.loads(line))
    print("read", read.served_model_name, read.scheduling_policy, read.shutdown_timeout)
"""

pytestmark = [
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} is not set: make test-vllm"),
    pytest.mark.timeout(600),
]


def by_vllm(*arguments: str, said: str = "") -> str:
    """What the Python with vLLM prints."""
    ran = subprocess.run(
        [os.environ[PYTHON], *arguments],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


def test_the_recorded_flags_are_the_real_ones() -> None:
    real = json.loads(by_vllm(str(HERE / "dump_flags.py")))

    assert real == json.loads(RECORDED.read_text(encoding="utf-8"))


def test_the_real_parser_takes_what_we_write() -> None:
    commands = [
        engine_command(VllmSpec.model_validate(keys), env={"K": "k"}, cores=1).argv[2:]
        for keys in (PLAIN, EVERYTHING)
    ]

    told = by_vllm("-c", PARSE, said="".join(json.dumps(each) + "\n" for each in commands))

    assert [line for line in told.splitlines() if line.startswith("read")] == [
        "read ['m'] priority 10",
        "read ['m'] fcfs 30",
    ]
