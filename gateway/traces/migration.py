"""A store of schema 1, as tutelage wrote it until November 2026, becomes one of today's.

Schema 1 had the trace id as text, the records in the same table as the columns, and three trees
to insert into for each exchange where there are two now.
"""

import sqlite3

from gateway.traces.keys import key_of

_MOVE = """
INSERT INTO records (number, record) SELECT rowid, record FROM exchanges_1;
INSERT INTO exchanges
    SELECT trace_key(trace_id), route, served_by, reason, outcome, confidence, total_s, cost_usd,
           saved_usd, rowid
    FROM exchanges_1 ORDER BY trace_id;
INSERT INTO judgements
    SELECT trace_key(trace_id), ts, judge, comparator, agreement, propensity, record
    FROM judgements_1 ORDER BY rowid;
DROP TABLE exchanges_1;
DROP TABLE judgements_1
"""


def migrate(connection: sqlite3.Connection, tables: str) -> None:
    """In the caller's transaction: all of it, or nothing. `tables` makes the new ones."""
    connection.create_function("trace_key", 1, key_of, deterministic=True)
    for name in ("exchanges", "judgements"):
        connection.execute(f"ALTER TABLE {name} RENAME TO {name}_1")
    connection.execute("DROP INDEX judgements_by_trace")  # its name is wanted again
    for statement in (*tables.split(";"), *_MOVE.split(";")):
        connection.execute(statement)
