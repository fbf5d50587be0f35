"""The documentation: its page of flags is up to date, its site builds, its links lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Program

OUTSIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "native_client/README.md", "benchmarks/RESULTS.md")]


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--config-file", config, "--site-dir", site]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_page_of_flags_is_what_make_flags_writes(deepspeech: Program):
    done = deepspeech("--helpmarkdown", tensorflow=False)
    assert done.returncode == 0
    assert (ROOT / "doc" / "Flags.md").read_text("utf-8") == done.stdout, "stale: run make flags"


def test_the_site_has_every_page_and_no_broken_link(tmp_path: Path):
    done = build(ROOT / "properdocs.yml", tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in (ROOT / "doc").glob("*.md")} - {"README"} | {"index"}
    assert {path.stem for path in tmp_path.glob("*.html")} - {"404"} == pages
    for name in pages - {"index"}:
        assert f'href="{name}.html"' in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("page", "text"),
    [("Data.md", "[x](Nowhere.md)"), ("Data.md", "[x](Training.md#nothing)"), ("Data.md", "[x](../README.md)"),
     ("New.md", "not in the navigation")],
)  # fmt: skip
def test_the_site_is_not_built_with_faults(tmp_path: Path, page: str, text: str):
    shutil.copytree(ROOT / "doc", tmp_path / "doc")
    shutil.copy(ROOT / "properdocs.yml", tmp_path)
    with (tmp_path / "doc" / page).open("a") as file:
        file.write(f"\n{text}\n")
    done = build(tmp_path / "properdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert page in done.stderr


def broken_links(path: Path) -> list[str]:
    """Links of a page to files that are not there, and to headings that files do not have (as GitHub names them)."""
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE) if target.is_file() else []
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        if not target.exists() or (anchor and anchor not in anchors):
            broken.append(link)
    return broken


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_links_of_other_pages(path: Path):
    assert broken_links(path) == []


def test_broken_links_are_found(tmp_path: Path):
    (tmp_path / "b.md").write_text("## How to, and why?\n")
    (tmp_path / "a.md").write_text("[x](b.md) [x](b.md#how-to-and-why) [x](c.md) [x](b.md#how) [x](https://a.b/c)\n")
    assert broken_links(tmp_path / "a.md") == ["c.md", "b.md#how"]
