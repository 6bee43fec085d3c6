"""Which model of which route wrote a response: told in the response's id, so that it can be found.

A response that was stored lives at the engine that wrote it. Its id, as clients see it, ends with
where that is (`resp_…~support~student`): no gateway worker has to remember it.
"""

from typing import NamedTuple
from urllib.parse import quote, unquote

_MARK = "~"
_ESCAPE = "!"
"""In place of %, so that an id is the same in a URL, encoded or not, and has no slash in it."""


class Origin(NamedTuple):
    """`role` is student or teacher."""

    route: str
    role: str

    def mark(self, response_id: str) -> str:
        """The id as clients see it."""
        route = quote(self.route, safe="").replace("%", _ESCAPE)
        return _MARK.join((response_id, route, self.role))


def unmark(marked: str) -> tuple[str, Origin] | None:
    """The engine's own id, and whose it is; None for an id that is not from here."""
    match marked.split(_MARK):
        case [response_id, route, role]:
            return response_id, Origin(unquote(route.replace(_ESCAPE, "%")), role)
        case _:
            return None
