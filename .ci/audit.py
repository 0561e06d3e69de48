"""Ask for known vulnerabilities of all releases in requirements/lock.txt.

    python .ci/audit.py

Runs pip-audit (the newest, of this environment) over the releases of every system,
with the advisories of the Python package index, and where those are not to be had with
those of OSV. Fails if a release has one that is not in `ACCEPTED`. Where neither source
answers it says so, with the reason, and does not fail: nothing was found out then.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HASHES = Path(__file__).parents[1] / "requirements" / "lock-hashes.txt"
SOURCES = ("pypi", "osv")

# Vulnerability -> why it does not matter here, or until when it is waited for.
ACCEPTED: dict[str, str] = {}

# What pip-audit says where a source does not answer.
_UNREACHABLE = re.compile("ConnectionError|ConnectTimeout|ReadTimeout|Max retries")


def main() -> None:
    """Run the command."""
    n_releases = sum(len(one) for one in releases())
    for source in SOURCES:
        if audited := audit(source):
            break
        print(f"{source} cannot be reached, or knows none of the releases")
    else:
        print(
            "no advisory source was reachable: "
            f"nothing is known of the {n_releases} locked releases"
        )
        return
    found = vulnerabilities(audited)
    print(f"{source} knows {len(audited)} of {n_releases} locked releases")
    print("".join(f"{line}\n" for line in found), end="")
    if any(not line.endswith(")") for line in found):
        sys.exit("vulnerable: raise the pins, or say in ACCEPTED why not")


def releases() -> list[dict[str, str]]:
    """Return the locked releases: the first of each package, the second, and so on."""
    found: list[dict[str, str]] = []
    for name, version in re.findall(
        r"^([\w.-]+)==([\w.+!-]+)", HASHES.read_text("utf-8"), re.MULTILINE
    ):
        free = next((one for one in found if name not in one), None)
        if free is None:
            found.append(free := {})
        free[name] = version
    return found


def audit(source: str) -> list[dict[str, Any]]:
    """Return what a source says of each release that it knows."""
    known: list[dict[str, Any]] = []
    for pins in releases():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "pins.txt")
            file.write_text("".join(f"{n}=={v}\n" for n, v in pins.items()), "utf-8")
            command = [sys.executable, "-m", "pip_audit", "--requirement", str(file)]
            command += ["--no-deps", "--disable-pip", "--format", "json"]
            command += ["--progress-spinner", "off", "--vulnerability-service", source]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stdout.strip():
            if not _UNREACHABLE.search(done.stderr):
                print(f"pip-audit failed: {done.stderr.strip()[-500:]}")
            return []
        said = json.loads(done.stdout)["dependencies"]
        known += [one for one in said if "skip_reason" not in one]
    return known


def vulnerabilities(audited: list[dict[str, Any]]) -> list[str]:
    """Return a line for each vulnerability; behind those accepted the reason."""
    lines = []
    for one in audited:
        for found in one["vulns"]:
            names = [found["id"], *found.get("aliases", [])]
            why = next((ACCEPTED[name] for name in names if name in ACCEPTED), None)
            told = f"{one['name']} {one['version']}: {', '.join(names)}"
            mended = ", ".join(found["fix_versions"]) or "no release yet"
            lines.append(f"{told} (accepted: {why})" if why else f"{told}; in {mended}")
    return lines


if __name__ == "__main__":
    main()
