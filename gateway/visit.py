"""One call's claim on a replica and on a slot, and what the call tells about that replica."""

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
        if last is None and (only := replicas.only) is not None and only.breaker.closed:
            self.replica = only
            only.in_flight += 1
            return only
        replica = replicas.choose(call.affinity, last)
        if last is not None:
            last.in_flight -= 1
            last.breaker.left(self._probe)
        self.replica = replica
        replica.in_flight += 1
        self._probe = 0 if replica.breaker.closed else replica.breaker.probe()
        return replica

    def succeeded(self) -> None:
        """The replica works."""
        if (replica := self.replica) is not None and not replica.breaker.spotless:
            replica.breaker.succeeded(self._probe)

    def failed(self) -> None:
        """The replica does not. Neither is reported where the client left."""
        if self.replica is not None:
            self.replica.breaker.failed(self._probe)

    def end(self) -> None:
        """Give everything back. Safe to call twice."""
        if (slots := self._slots) is None:
            return
        self._slots = None
        if (replica := self.replica) is not None:
            replica.in_flight -= 1
            if self._probe:
                replica.breaker.left(self._probe)
        slots.free(self._caller)
