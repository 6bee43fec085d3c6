"""What we mend in vLLM is found by it, and does what vLLM's own kernel for GPUs does."""

import json
import os
import subprocess

import pytest

from serving.vllm_command import MENDS
from tests.vllm.test_real_parser import PYTHON

pytestmark = [
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} is not set: make test-vllm"),
    pytest.mark.timeout(600),
]

ASK = """
import json
import torch
from vllm.plugins import load_general_plugins
from vllm.utils import cpu_triton_utils
load_general_plugins()
expand = cpu_triton_utils._expand_kernel_impl
told = {"module": expand.__module__}
drafted = torch.tensor([2, 2, 5], dtype=torch.int32)  # three requests: 2, 0 and 3 tokens
for name, dtype in (("float", torch.float32), ("int", torch.int32), ("long", torch.int64)):
    output = torch.full((8,), -1, dtype=dtype)
    expand(output, torch.tensor([7, 8, 0], dtype=dtype), drafted, 0, 1, MAX_NUM_TOKENS=128)
    told[name] = output.tolist()
print(json.dumps(told))
"""


def test_a_value_of_each_request_reaches_all_of_its_drafted_tokens() -> None:
    ran = subprocess.run(
        [os.environ[PYTHON], "-c", ASK],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "PYTHONPATH": str(MENDS)},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])

    assert told.pop("module") == "tutelage_vllm_mends"
    assert set(map(tuple, told.values())) == {(7, 7, 1, 1, 1, -1, -1, -1)}
