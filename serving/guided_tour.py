"""The tour on the screen: the cascade live, each model alone, then the scoreboard."""

import time
from collections.abc import Callable

import httpx

from serving import embedded
from serving.deployment import Deployment
from serving.recorded import recorded_figures
from serving.screen import Screen
from serving.tour import Guide, Tour, choose, columns, coverage
from serving.tour_table import TourTable, honesty, scoreboard


def guided_tour(
    size: int, deployment: Deployment, *, gateway_alive: Callable[[], None], screen: Screen
) -> None:
    """Asks `size` held-out questions three ways. Raises what `gateway_alive` raises, only."""
    questions = choose(size)
    size = len(questions)
    screen.step(f"tour: {size} held-out requests")
    with httpx.Client(base_url=deployment.url) as http:
        guide = Guide(
            http=http,
            route=embedded.ROUTE,
            clock=time.monotonic,
            pause=time.sleep,
            gateway_alive=gateway_alive,
        )
        guide.warm_up(questions[0])
        table = TourTable(screen.console, size=size)
        cascade = []
        with table.shown():
            for question in questions:
                cascade.append(guide.cascade(question))
                table.add(cascade[-1])
        alone = {}
        for role in ("student", "teacher"):
            screen.say(f"the same {size} questions to the {role} alone")
            alone[role] = tuple(
                guide.pinned(question, role) for question in screen.counted(questions, role)
            )
    _sum_up(Tour(tuple(cascade), **alone), deployment, screen)


def _sum_up(tour: Tour, deployment: Deployment, screen: Screen) -> None:
    route = deployment.routes[embedded.ROUTE]
    ways = columns(
        tour, student=deployment.prices[route.student], teacher=deployment.prices[route.teacher]
    )
    screen.console.print()
    screen.console.print(scoreboard(ways, coverage(tour.cascade)))
    if said := honesty(len(tour.cascade)):
        screen.console.print(said)
    if recorded := recorded_figures():
        screen.console.print(str(recorded))
    screen.console.print()
