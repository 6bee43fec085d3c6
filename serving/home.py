"""The one folder where everything downloaded, derived or logged lives."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """`TUTELAGE_HOME`, or tutelage's folder in the user's cache."""

    root: Path

    @classmethod
    def of(cls, env: Mapping[str, str], *, platform: str = sys.platform) -> "Home":
        """Where `env` says; `~` and relative paths are made absolute."""
        if chosen := env.get("TUTELAGE_HOME"):
            return cls(Path(chosen).expanduser().absolute())
        if platform == "darwin":
            return cls(Path("~/Library/Caches/tutelage").expanduser())
        cache = env.get("XDG_CACHE_HOME")
        # The XDG specification: a relative value is to be ignored.
        if cache and Path(cache).is_absolute():
            return cls(Path(cache) / "tutelage")
        return cls(Path("~/.cache/tutelage").expanduser())

    @property
    def models(self) -> Path:
        """Fetched and derived model files, each verified before use."""
        return self.root / "models"

    @property
    def environments(self) -> Path:
        """Of jobs whose packages do not go together with ours."""
        return self.root / "environments"

    @property
    def logs(self) -> Path:
        """One log per engine, and the gateway's."""
        return self.root / "logs"

    @property
    def traces(self) -> Path:
        """The embedded default's trace store."""
        return self.root / "traces.db"

    @property
    def releases(self) -> Path:
        """One folder per release: see `serving.releases`."""
        return self.root / "releases"

    @property
    def state(self) -> Path:
        """Thresholds and releases as changed while gateways run, unless `server.state` says."""
        return self.root / "state.db"

    @property
    def run(self) -> Path:
        """One state file per running `tutelage up`."""
        return self.root / "run"
