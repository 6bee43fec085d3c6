"""What `tutelage doctor` says of routes that verify: the gateway's own examination, put by hand."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import httpx
from pydantic import SecretStr

from gateway.call import url_of
from gateway.config import Route, Settings
from gateway.verify_probe import Unable, examine


def examined(
    settings: Settings, secrets: Mapping[str, SecretStr]
) -> Iterator[tuple[Route, bool, str]]:
    """For each such route whether its pair can be verified, and what was seen."""
    for route in settings.routes.values():
        if route.fallback != "verify":
            continue
        try:
            context = _examine(route, settings, secrets)
        except (Unable, httpx.HTTPError) as trouble:
            yield route, False, str(trouble) or type(trouble).__name__
        else:
            known = f"{context} tokens" if context is not None else "not told: only with max_tokens"
            yield route, True, f"one tokenizer; reads prompts; context {known}"


def _examine(route: Route, settings: Settings, secrets: Mapping[str, SecretStr]) -> int | None:
    """Raises Unable or httpx.HTTPError."""
    names = {"student": route.student, "teacher": route.teacher}
    with ExitStack() as stack:
        clients = {}
        for role, name in names.items():
            upstream, key = settings.upstreams[name], secrets.get(name)
            clients[role] = stack.enter_context(
                httpx.Client(
                    headers={"authorization": f"Bearer {key.get_secret_value()}"} if key else {},
                    timeout=httpx.Timeout(
                        upstream.timeouts.first_token_s, connect=upstream.timeouts.connect_s
                    ),
                )
            )
        models = {role: settings.upstreams[name].model for role, name in names.items()}
        questions = examine(models["student"], models["teacher"])
        answer: bytes | None = None
        while True:
            try:
                question = questions.send(answer)
            except StopIteration as over:
                return over.value  # type: ignore[no-any-return]  # what `examine` returns
            base_url = settings.upstreams[names[question.role]].replicas[0]
            response = clients[question.role].post(
                url_of(base_url, question.path),
                content=question.body,
                headers={"content-type": "application/json"},
            )
            answer = response.content if response.status_code == httpx.codes.OK else None
