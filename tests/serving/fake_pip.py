"""Stands in for pip: takes the same command line, writes a wheel into --dest.

argv[1] says how it behaves, argv[2] is the wheel to hand out, argv[3] a journal file. The hash in
the requirements file is checked as pip does.
"""

import hashlib
import re
import shutil
import signal
import sys
from pathlib import Path

mode, wheel, journal, *asked = sys.argv[1:]
with Path(journal).open("a", encoding="utf-8") as file:
    file.write(" ".join(asked[:4]) + "\n")
destination = Path(asked[asked.index("--dest") + 1])
requirements = Path(asked[asked.index("--requirement") + 1]).read_text(encoding="utf-8")
destination.mkdir(parents=True)
if mode == "offline":
    sys.exit("Looking in indexes: https://example.invalid/simple\nERROR: No matching distribution")
if mode == "hang":
    (destination / "half.whl").write_bytes(b"half of it")
    signal.pause()
wanted = re.search(r"--hash=sha256:([0-9a-f]{64})", requirements)
found = hashlib.sha256(Path(wheel).read_bytes()).hexdigest()
if wanted is None or wanted[1] != found:
    sys.exit("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE")
shutil.copy(wheel, destination)
