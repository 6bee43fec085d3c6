"""One call's claim on a replica and on a slot, and what the call tells about that replica."""

from gateway.breaker import Breaker
from gateway.call import Call
from gateway.replicas import Replica, Replicas
from gateway.slots import Slots


class Visit:
    """Holds a slot of the upstream until `end`, and a place at one replica at a time."""

    __slots__ = ("_caller", "_probe", "_slots", "replica")

    def __init__(self, slots: Slots, caller: str | None) -> None:
        self._slots: Slots | None = slots
        self._caller = caller
        self._probe = 0
        self.replica: Replica | None = None

    def go_to(self, replicas: Replicas, call: Call) -> Replica:
        """Choose a replica: on a second attempt another one, if there is. Raises NoReplica."""
        last = self.replica
        replica = replicas.choose(call.affinity, last)
        if last is not None:
            self._leave(last)
        self.replica = replica
        replica.in_flight += 1
        self._probe = 0 if replica.breaker.closed else replica.breaker.probe()
        return replica

    def succeeded(self) -> None:
        """The replica works."""
        self._breaker.succeeded(self._probe)

    def failed(self) -> None:
        """The replica does not. Neither is reported where the client left."""
        self._breaker.failed(self._probe)

    def end(self) -> None:
        """Give everything back. Safe to call twice."""
        if self._slots is None:
            return
        self._slots.free(self._caller)
        self._slots = None
        if self.replica is not None:
            self._leave(self.replica)

    def _leave(self, replica: Replica) -> None:
        replica.in_flight -= 1
        if self._probe:
            replica.breaker.left(self._probe)

    @property
    def _breaker(self) -> Breaker:
        assert self.replica is not None  # noqa: S101 - go_to() comes first
        return self.replica.breaker
