"""Check what pip has taken against requirements/lock-hashes.txt.

    python .ci/hashes.py REPORT

REPORT is what ``pip install --report`` wrote. Constraints with hashes would make pip
refuse this folder itself, so they are compared afterwards. A build of PyTorch's own
index (2.14.1+cpu) has no hash there, and is named.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

HASHES = Path(__file__).parents[1] / "requirements" / "lock-hashes.txt"


def main() -> None:
    """Run the command."""
    report = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    known, others, local, n = read_hashes(HASHES), [], [], 0
    for taken in report["install"]:
        about = taken["metadata"]
        name, version = canonicalize_name(about["name"]), about["version"]
        if "dir_info" in taken["download_info"]:
            continue  # this folder
        if "+" in version:
            local.append(f"{name} {version}")
        elif sha256_of(taken) in known[name, version]:
            n += 1
        else:
            others.append(f"{name} {version}")
    print(f"{n} packages have a hash of {HASHES.name}")
    if local:
        print(f"of another index, without a hash there: {', '.join(local)}")
    if others or not n:
        sys.exit(f"not what {HASHES.name} names: {', '.join(others) or 'nothing is'}")


def read_hashes(path: Path) -> dict[tuple[str, str], set[str]]:
    """Return the hashes by name and version."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in path.read_text("utf-8").splitlines():
        if pin := re.match(r"([\w.-]+)==([\w.+!-]+)", line):
            key = canonicalize_name(pin[1]), pin[2]
        elif hashed := re.match(r" +--hash=sha256:([0-9a-f]{64})\b", line):
            found[key].add(hashed[1])
    return found


def sha256_of(taken: dict[str, Any]) -> str | None:
    """Return the hash of an archive that was taken."""
    archive = taken["download_info"].get("archive_info", {})
    found: str | None = archive.get("hashes", {}).get("sha256")
    return found


if __name__ == "__main__":
    main()
