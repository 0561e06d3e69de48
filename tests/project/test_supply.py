"""Hashes, licences and advisories of what is locked, and the scripts that check."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "requirements"
LICENCES = (FOLDER / "licences.md").read_text("utf-8")
# Joined lines, without comments.
HASHED = (FOLDER / "lock-hashes.txt").read_text("utf-8").replace("\\\n", "")
UNFREE = ("gpl", "gnu", "mpl", "mozilla", "propriet", "terms", "none named", "epl")


def script(name: str) -> ModuleType:
    spec = spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned(text: str) -> list[str]:
    lines = (re.split(r"#|--hash", line)[0].strip() for line in text.splitlines())
    return sorted(str(Requirement(line)) for line in lines if line)


def test_hashes_are_of_the_releases_in_the_lock() -> None:
    assert pinned(HASHED) == pinned((FOLDER / "lock.txt").read_text("utf-8"))


def test_every_release_has_a_hash() -> None:
    lines = [line for line in HASHED.splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.search(r" --hash=sha256:[0-9a-f]{64}$", line), line[:60]


def test_hashes_were_made_by_the_documented_command_and_name_no_index() -> None:
    line = HASHED.splitlines()[1].removeprefix("#").strip()
    assert f"\n{line} --upgrade\n" in (FOLDER / "README.md").read_text("utf-8")
    assert "://" not in HASHED


def test_every_locked_package_has_one_line_of_licences() -> None:
    named = re.findall(r"^\| ([\w-]+) \|", LICENCES, re.MULTILINE)
    locked = {canonicalize_name(Requirement(one).name) for one in pinned(HASHED)}
    assert named == ["package", *sorted(locked)]


def test_no_licence_is_unknown_and_what_is_not_permissive_has_a_note() -> None:
    for line in re.findall(r"^\| .* \| .* \|$", LICENCES, re.MULTILINE):
        _, name, licence, note, _ = (part.strip() for part in line.split("|"))
        assert licence not in ("", "unknown"), name
        if any(word in licence.lower() for word in UNFREE):
            assert note, f"{name} is under {licence}: say where it is used"


# Scripts


def taken(name: str, version: str, sha256: str) -> dict[str, Any]:
    archive = {"archive_info": {"hashes": {"sha256": sha256}}}
    return {"metadata": {"name": name, "version": version}, "download_info": archive}


@pytest.fixture
def told_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Run .ci/hashes.py over what is said to have been taken; return what it prints."""
    module = script("hashes")
    ((key, known),) = list(module.read_hashes(module.HASHES).items())[:1]

    def told(*others: dict[str, Any]) -> str:
        own = {"metadata": {"name": "skraee", "version": "1"}}
        own["download_info"] = {"dir_info": {}}
        right = taken(*key, min(known))
        report = tmp_path / "report.json"
        report.write_text(json.dumps({"install": [own, right, *others]}), "utf-8")
        monkeypatch.setattr("sys.argv", ["hashes.py", str(report)])
        module.main()
        return str(capsys.readouterr().out)

    return told


def test_hashes_of_what_was_taken_are_compared(told_hashes: Any) -> None:
    assert told_hashes() == "1 packages have a hash of lock-hashes.txt\n"


@pytest.mark.parametrize(
    ("name", "version"), [("joblib", "1.6.0"), ("numpy", "0.1"), ("other", "1.0")]
)
def test_other_file_release_or_package_is_refused(
    name: str, version: str, told_hashes: Any
) -> None:
    with pytest.raises(SystemExit, match=rf"txt names: {name} {version}$"):
        told_hashes(taken(name, version, "0" * 64))


def test_build_of_another_index_is_named(told_hashes: Any) -> None:
    assert "there: torch 2.14.1+cpu\n" in told_hashes(taken("torch", "2.14.1+cpu", "0"))


@pytest.fixture
def told_audit(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Run .ci/audit.py with what pip-audit is said to say of one release each time."""
    module = script("audit")
    monkeypatch.setattr(module, "releases", lambda: [{"jinja2": "3.1.6"}])

    def told(vulns: Any = None, error: str = "", **accepted: str) -> str:
        one: dict[str, Any] = {"name": "jinja2", "version": "3.1.6"}
        one |= {"skip_reason": "not found"} if vulns is None else {"vulns": vulns}
        said = "" if error else json.dumps({"dependencies": [one], "fixes": []})
        done = subprocess.CompletedProcess([], int(bool(error)), said, error)
        monkeypatch.setattr("subprocess.run", lambda *args, **settings: done)
        monkeypatch.setattr(module, "ACCEPTED", accepted)
        module.main()
        return str(capsys.readouterr().out)

    return told


VULNERABLE = [{"id": "GHSA1", "aliases": ["CVE1"], "fix_versions": ["3.1.7"]}]


def test_audit_without_a_vulnerability_says_what_was_asked(told_audit: Any) -> None:
    assert told_audit([]) == "pypi knows 1 of 1 locked releases\n"


def test_audit_fails_for_a_vulnerability_and_names_the_way_out(
    told_audit: Any, capsys: Any
) -> None:
    with pytest.raises(SystemExit, match="vulnerable: raise the pins, or say in ACCEP"):
        told_audit(VULNERABLE)
    assert "jinja2 3.1.6: GHSA1, CVE1; in 3.1.7\n" in capsys.readouterr().out


def test_audit_passes_what_is_accepted_and_says_why(told_audit: Any) -> None:
    assert "CVE1 (accepted: no templates)\n" in told_audit(
        VULNERABLE, CVE1="no templates"
    )


@pytest.mark.parametrize("error", ["", "requests.exceptions.ConnectionError: no"])
def test_audit_that_reaches_no_source_says_so_and_does_not_fail(
    error: str, told_audit: Any
) -> None:
    said = told_audit(None, error)
    assert "no advisory source was reachable: nothing is known of the 1 locked" in said


def test_audit_that_fails_of_itself_says_why(told_audit: Any) -> None:
    said = told_audit(None, "bad file")
    assert "pip-audit failed: bad file\n" in said
    assert "no advisory source was reachable" in said


def test_audit_asks_for_every_locked_release() -> None:
    asked = script("audit").releases()
    assert sum(map(len, asked)) == len(pinned(HASHED))
    assert max(map(len, asked)) == LICENCES.count("\n| ") - 1
