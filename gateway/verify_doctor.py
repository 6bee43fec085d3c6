"""What `tutelage doctor` says of routes whose teacher reads: the gateway's own questions."""

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
    """For each such route, and each replica, whether the pair can be read; and what was seen."""
    for route in settings.routes.values():
        if not route.reads:
            continue
        student, teacher = (settings.upstreams[each] for each in (route.student, route.teacher))
        most = max(len(student.replicas), len(teacher.replicas))
        for at in range(most):  # each replica in one pair at least
            urls = {
                "student": student.replicas[at % len(student.replicas)],
                "teacher": teacher.replicas[at % len(teacher.replicas)],
            }
            where = f"{urls['student']} and {urls['teacher']}: " if most > 1 else ""
            try:
                context = _examine(route, urls, settings, secrets)
            except (Unable, httpx.HTTPError) as trouble:
                yield route, False, f"{where}{str(trouble) or type(trouble).__name__}"
            else:
                room = f"{context} tokens" if context is not None else "not told: only with a limit"
                yield route, True, f"{where}one tokenizer; reads prompts; context {room}"


def _examine(
    route: Route,
    urls: Mapping[str, str],
    settings: Settings,
    secrets: Mapping[str, SecretStr],
) -> int | None:
    """urls: of the replica of each role. Raises Unable or httpx.HTTPError."""
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
            response = clients[question.role].post(
                url_of(urls[question.role], question.path),
                content=question.body,
                headers={"content-type": "application/json"},
            )
            answer = response.content if response.status_code == httpx.codes.OK else None
