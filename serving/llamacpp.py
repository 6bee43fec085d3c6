"""The engine process: llama.cpp's HTTP server inside this Python, until it is told to stop.

Run as `python -m serving.llamacpp --spec JSON` by `serving.engine`, never imported by it:
a crash in native code then costs one child, not the supervisor.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

import xllamacpp

from serving.llamacpp_spec import LlamaCppSpec

WARNINGS_AND_ERRORS = 2
"""llama.cpp's verbosity: one level up, every request writes lines and the log never stops."""


def parameters(spec: LlamaCppSpec) -> "xllamacpp.CommonParams":
    """llama.cpp's own parameters; what shapes an answer (temperature, top_p) stays the client's."""
    params = xllamacpp.CommonParams()
    params.model.path = str(spec.gguf)
    params.model_alias = {spec.model}
    params.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(str(adapter.path), adapter.scale)
        for adapter in spec.adapters
    ]
    params.hostnames = [spec.host]
    params.port = spec.port
    params.n_parallel = spec.slots
    params.n_ctx = spec.context_tokens * spec.slots
    if spec.threads is not None:
        params.cpuparams.n_threads = spec.threads
        params.cpuparams_batch.n_threads = spec.threads
    params.cache_ram_mib = spec.prompt_cache_mib
    params.cache_idle_slots = spec.prompt_cache_mib > 0
    params.fit_params = False  # it would load the model twice to fit a GPU
    params.endpoint_metrics = True
    params.endpoint_slots = False  # shows other people's prompts
    params.ui = False
    params.cors_origins = "http://127.0.0.1"  # a web page the user visits has no business here
    params.cors_origins_explicit = True
    params.verbosity = WARNINGS_AND_ERRORS
    return params


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.llamacpp", description=__doc__)
    parser.add_argument("--spec", required=True, type=LlamaCppSpec.model_validate_json)
    spec: LlamaCppSpec = parser.parse_args(arguments).spec
    # Blocked before the server makes its threads, so that the wait below is who gets them.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    print(f"{spec.name}: loading {spec.gguf}, {spec.model_dump_json()}", flush=True)  # noqa: T201 (its log)
    try:
        server = xllamacpp.Server(parameters(spec))
    except RuntimeError as error:
        print(f"{spec.name}: llama.cpp refused to start: {error}", flush=True)  # noqa: T201
        return 1
    print(f"{spec.name}: listening on {server.listening_address}", flush=True)  # noqa: T201
    signal.sigwait(stop_signals)
    del server  # waits for its loop to end
    return 0


if __name__ == "__main__":
    sys.exit(main())
