"""Other gateways, each as its documents start it for one upstream, with one worker.

What is on PyPI gets a virtual environment of its own in the cache, made once. nginx is taken from
PATH. None of them keeps traces; LiteLLM and the Rust routers check a key, nginx does not.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.place import Launch, NotHere, Place

KEY = "sk-bench"
VLLM_ROUTER, SGLANG_ROUTER, LITELLM = "0.1.17", "0.3.2", "1.106.2"

_NGINX = """
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx-error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_buffer_size 64k;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  keepalive_requests 1000000000;
  upstream mock {{ server 127.0.0.1:{upstream_port}; keepalive 2048; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""

_LITELLM = """
model_list:
  - model_name: mock
    litellm_params: {{ model: openai/mock, api_base: "{upstream}/v1", api_key: none }}
general_settings: {{ master_key: {key} }}
litellm_settings: {{ telemetry: false }}
"""


def nginx(place: Place) -> Launch:
    """A plain reverse proxy, the floor: it reads no body, checks no key and counts nothing.

    Streams are not held back: the mock says `X-Accel-Buffering: no` on them.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise NotHere("nginx is not on PATH; on Debian and Ubuntu: apt-get install nginx")
    config = place.scratch / "nginx.conf"
    config.write_text(
        _NGINX.format(scratch=place.scratch, port=place.port, upstream_port=place.upstream_port)
    )
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr
    return Launch(
        argv=(program, "-p", str(place.scratch), "-c", str(config), "-g", "daemon off;"),
        ready_path="/health",
        version=said.rpartition("/")[2].split()[0],
    )


def vllm_router(place: Place) -> Launch:
    return _rust_router(place, "vllm-router", "vllm_router", VLLM_ROUTER)


def sglang_router(place: Place) -> Launch:
    return _rust_router(place, "sglang-router", "sglang_router", SGLANG_ROUTER)


def _rust_router(place: Place, distribution: str, module: str, version: str) -> Launch:
    python = installed(place.cache, distribution, version)
    return Launch(
        argv=(
            *(str(python), "-m", f"{module}.launch_router", "--worker-urls", place.upstream),
            *("--host", "127.0.0.1", "--port", str(place.port), "--api-key", KEY),
            *("--policy", "round_robin", "--max-concurrent-requests", "8192"),
            *("--prometheus-port", str(place.spare_port), "--log-level", "error"),
        ),
        ready_path="/health",
        version=version,
        key=KEY,
    )


def litellm(place: Place) -> Launch:
    python = installed(place.cache, "litellm", LITELLM, extra="proxy")
    config = place.scratch / "litellm.yaml"
    config.write_text(_LITELLM.format(upstream=place.upstream, key=KEY))
    return Launch(
        argv=(
            *(str(python.with_name("litellm")), "--config", str(config), "--num_workers", "1"),
            *("--host", "127.0.0.1", "--port", str(place.port)),
        ),
        ready_path="/health/liveliness",
        version=LITELLM,
        key=KEY,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
    )


def installed(cache: Path, distribution: str, version: str, extra: str = "") -> Path:
    """The interpreter of an environment that holds it; made when it is not there yet."""
    folder = cache / "venvs" / f"{distribution}-{version}"
    python, done = folder / "bin" / "python", folder / "done"
    if done.exists():
        return python
    wanted = f"{distribution}{f'[{extra}]' if extra else ''}=={version}"
    print(f"  installing {wanted} into {folder}", file=sys.stderr, flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        subprocess.run([*pip, wanted], check=True)
    except subprocess.CalledProcessError as error:
        raise NotHere(
            f"{wanted} could not be installed: pip ended with {error.returncode}"
        ) from error
    done.touch()
    return python
