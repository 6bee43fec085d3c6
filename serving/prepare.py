"""`python -m serving.prepare`: makes ready what the embedded default needs, and verifies it."""

import os
import sys
import time

from rich.console import Console

from serving.embedded import EmbeddedModels, prepare_models, released
from serving.errors import ServingError
from serving.home import Home
from serving.models import ModelCache
from serving.releases import Releases
from serving.screen import Screen


def prepare(home: Home, screen: Screen) -> EmbeddedModels:
    """Says where the models are and makes what is missing. Raises `ModelUnavailable`."""
    screen.step(f"models in {home.models}")
    models = prepare_models(ModelCache(home.models, progress=screen))
    models = released(Releases(home.releases), models)
    screen.say(
        f"verified: teacher {models.base.name} + {models.teacher_adapter.name}, "
        f"student {models.student.name}, which is release {models.release}"
    )
    return models


def main() -> int:
    screen = Screen(Console(highlight=False), clock=time.monotonic)
    try:
        prepare(Home.of(os.environ), screen)
    except ServingError as error:
        screen.fail(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        screen.rest()
    return 0


if __name__ == "__main__":
    sys.exit(main())
