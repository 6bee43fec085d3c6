"""Properties are tried on the same examples each time, and not timed: this machine may be busy."""

from hypothesis import settings

settings.load_profile("ci")
