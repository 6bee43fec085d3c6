"""What can go wrong with engines and models, each told with what to do about it.

ServingError
├── BadConfig           a value in the config file that cannot work
├── PortTaken           somebody else listens where we should
├── FileMissing         a model or adapter that is not where the spec says
├── ProcessDied         an engine or the gateway ended on its own; carries the log's last lines
├── NotReady            it runs but never answered in time; carries the log's last lines
├── JobFailed           a job in an environment of its own; carries the log's last lines
├── NotMeasured         an engine did not tell what a measurement needs
└── ModelUnavailable    a model that could be neither found, fetched nor derived
    └── WrongHash       the bytes are not the ones this release was made with
"""

from pathlib import Path


class ServingError(Exception):
    """Base of every error raised on purpose; its text is meant for the person at the terminal."""


class BadConfig(ServingError):
    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


class PortTaken(ServingError):
    def __init__(self, host: str, port: int, *, who: str, fix: str) -> None:
        super().__init__(f"{who}: port {port} on {host} is already in use; {fix}")
        self.port = port


class FileMissing(ServingError):
    def __init__(self, who: str, what: str, path: Path) -> None:
        super().__init__(f"{who}: {what} {path} is not there (or cannot be read)")


class ProcessDied(ServingError):
    def __init__(self, who: str, how: str, *, log: Path, last_lines: str) -> None:
        super().__init__(f"{who} {how}; last lines of {log}:\n{last_lines}")


class NotReady(ServingError):
    def __init__(self, who: str, after_s: float, *, log: Path, last_lines: str) -> None:
        super().__init__(
            f"{who} was not ready after {after_s:g} s; last lines of {log}:\n{last_lines}"
        )


class JobFailed(ServingError):
    def __init__(self, name: str, how: str, *, log: Path, last_lines: str) -> None:
        super().__init__(f"{name}: {how}; last lines of {log}:\n{last_lines}")


class NotMeasured(ServingError):
    pass


class ModelUnavailable(ServingError):
    pass


class WrongHash(ModelUnavailable):
    def __init__(self, what: str, *, wanted: str, found: str) -> None:
        super().__init__(f"{what}: sha256 is {found}, expected {wanted}")
