"""What an engine's last words mean."""

import re

import pytest

from serving.causes import CAUSES, cause_of_end

TORCH = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a total "
    "capacity of 23.69 GiB of which 912.69 MiB is free."
)
CACHE = (
    "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB "
    "KV cache is needed, which is larger than the available KV cache memory (7.41 GiB)."
)
ALLOCATOR = "RuntimeError: [enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (TORCH, "the GPU ran out of memory; lower memory_share"),
        (CACHE, "no memory is left for the context after the weights"),
        (ALLOCATOR, "the machine's memory is full"),
        ("OSError: [Errno 98] Address already in use", "its port was taken while it loaded"),
        ("api_server.py: error: unrecognized arguments: --x", "another version"),
        ("HFValidationError\nRepositoryNotFoundError: 404", "check the name, the network"),
        ("RuntimeError: Failed to infer device type", 'device = "cpu"'),
    ],
)
def test_a_log_is_translated_with_the_way_out(log: str, words: str) -> None:
    assert words in str(cause_of_end(1, f"INFO loading\n{log}\nINFO bye\n"))


def test_a_kill_that_nobody_here_ordered_points_to_the_memory() -> None:
    assert "when memory is full" in str(cause_of_end(137, "INFO loading\n"))


@pytest.mark.parametrize("status", [0, 1, 143])
def test_where_there_is_nothing_to_add_nothing_is(status: int) -> None:
    assert cause_of_end(status, "INFO loading\nKeyError: 'weights'\n") is None


def test_every_pattern_is_one() -> None:
    assert len(CAUSES) > 10
    for pattern in CAUSES:
        re.compile(pattern)
