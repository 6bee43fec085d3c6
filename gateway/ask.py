"""`tutelage ask`: one question through the gateway, as any client would put it."""

import sys

import httpx
import msgspec
from rich.console import Console

from gateway.chat import parse_reply
from gateway.refusal import read_error
from gateway.sse import DONE, SseDecoder

_TIMEOUT = httpx.Timeout(5.0, read=300.0)


def ask(question: str, *, url: str, model: str | None, system: str | None) -> int:
    """Print the answer as it comes, then its provenance. Returns the exit code."""
    messages = [{"role": "user", "content": question}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        with httpx.Client(base_url=url, timeout=_TIMEOUT) as client:
            body = {
                "model": model or _first_route(client),
                "messages": messages,
                "stream": True,
                "temperature": 0,
            }
            with client.stream("POST", "/chat/completions", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    err.print(read_error(response.read()).message)
                    return 1
                whole = _print_as_it_comes(response)
                out.print(_provenance(response.headers), style="dim")
                return 0 if whole else 1
    except httpx.HTTPError as error:
        err.print(
            f"{url}: {str(error) or type(error).__name__}; is a gateway running? (tutelage up)"
        )
        return 1


def _first_route(client: httpx.Client) -> str:
    listed = client.get("/models").raise_for_status().json()
    return str(listed["data"][0]["id"])


def _print_as_it_comes(response: httpx.Response) -> bool:
    """Whether the answer came to its own end."""
    decoder = SseDecoder()
    for data in response.iter_bytes():
        for payload in decoder.feed(data):
            if payload == DONE:
                sys.stdout.write("\n")
                return True
            try:
                for choice in parse_reply(payload).parts:
                    sys.stdout.write((choice.delta and choice.delta.words) or "")
                    sys.stdout.flush()
            except msgspec.DecodeError:
                sys.stderr.write(f"\nnot a chunk: {payload[:200]!r}\n")
    sys.stdout.write("\n")
    sys.stderr.write("the answer was cut short\n")
    return False


def _provenance(headers: httpx.Headers) -> str:
    confidence = headers.get("x-tutelage-confidence")
    return (
        f"— {headers.get('x-tutelage-served-by')} ({headers.get('x-tutelage-model')}), "
        f"{headers.get('x-tutelage-reason')}"
        + (f", confidence {confidence}" if confidence else "")
        + f"; trace {headers.get('x-tutelage-trace-id')}"
    )
