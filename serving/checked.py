"""What every engine's table has in a config file: frozen, checked, unknown keys refused."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (recognised, not bound)
"""An address that a server listens on, and where it is then found on this machine."""


class Checked(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Secret(Checked):
    """The name of the environment variable that holds it: `{ env = "NAME" }`."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class EngineTable(Checked):
    """One engine on this machine, whatever runs it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 picks a free one when the engine is made; it keeps it over restarts."""
    model: Annotated[str, Field(min_length=1)]
    """The name that clients put in `model` and that `/v1/models` shows."""

    @property
    def found_at(self) -> str:
        """The address that this machine finds it at."""
        return ANY_ADDRESS.get(self.host, self.host)

    @property
    def url(self) -> str:
        """Where it is found from this machine, without a path."""
        host = f"[{self.found_at}]" if ":" in self.found_at else self.found_at
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Where an OpenAI client finds it."""
        return f"{self.url}/v1"


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
