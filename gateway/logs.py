"""How the gateway's log is written: lines for people, or JSON for a log store.

A message that is about one request carries its trace id as a field of its own (`of_trace`). No
message holds what clients or models said.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

_TRACE_ID = "trace_id"


class LogForm(StrEnum):
    TEXT = "text"
    JSON = "json"


def of_trace(trace_id: str) -> Mapping[str, str]:
    """The `extra` of a log call about one request."""
    return {_TRACE_ID: trace_id}


class JsonLines(logging.Formatter):
    """An object a line: `ts` (ISO 8601, UTC), `level`, `logger`, `message`, and where there is
    one `trace_id`, `error` (the exception's type) and `traceback`.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "ts": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (trace_id := getattr(record, _TRACE_ID, None)) is not None:
            line[_TRACE_ID] = str(trace_id)
        if record.exc_info is not None and (kind := record.exc_info[0]) is not None:
            line["error"] = kind.__name__
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_as(form: LogForm) -> None:
    """From now on, in this process and in those that are forked from it."""
    if form is LogForm.JSON:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
