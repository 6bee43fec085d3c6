"""Two vLLM engines for tests: the plainest, and one that uses every key."""

PLAIN: dict[str, object] = {
    "name": "student",
    "kind": "vllm",
    "weights": "org/model",
    "model": "m",
    "port": 8101,
}
EVERYTHING: dict[str, object] = {
    **PLAIN,
    "weights": "./teacher",
    "executable": "./bin/vllm",
    "host": "0.0.0.0",
    "api_key": {"env": "K"},
    "dtype": "bfloat16",
    "quantization": "compressed-tensors",
    "context_tokens": 4096,
    "slots": 64,
    "memory_share": 0.85,
    "tensor_parallel": 2,
    "pipeline_parallel": 3,
    "data_parallel": 4,
    "prefix_caching": True,
    "chunked_prefill": False,
    "lora": {
        "adapters": [
            {"name": "polite", "path": "a/polite"},
            {"name": "terse", "path": "a/terse"},
        ],
        "at_once": 2,
        "max_rank": 64,
    },
    "tool_parser": "hermes",
    "reasoning_parser": "qwen3",
    "scheduling": "fcfs",
    "max_logprobs": -1,
    "speculate": {"method": "draft_model", "weights": "./student", "tokens": 5},
    "per_request_metrics": True,
    "eager": True,
    "extra_args": ["--block-size", "32", "--compilation-config.mode=0"],
    "drain_s": 30,
}
