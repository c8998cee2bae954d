"""README and docs/ name nothing that is not there: links, headings, commands; and the index has every page."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import pytest

PAGES = [Path("README.md"), *sorted(Path("docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def tracked() -> set[str]:
    """Files in git, also those to be added, and the folders that they lie in: what a reader of a clone has."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    files = {PurePosixPath(name) for name in listed.stdout.splitlines() if Path(name).exists()}
    return {str(one) for one in files} | {str(folder) for one in files for folder in one.parents}


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(text: str, page: Path, there: set[str]) -> list[str]:
    """The relative links of a page with this text that lead nowhere. there: of tracked()."""
    root = Path.cwd()
    found = []
    for link in LINK.findall(text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page.resolve()
        known = target.is_relative_to(root) and target.relative_to(root).as_posix() in there
        if not re.match(r"[a-z]+:", link) and (not known or (anchor and anchor not in anchors(target))):
            found.append(link)
    return found


def test_every_relative_link_leads_to_a_file_of_the_repository() -> None:
    there = tracked()
    found = {page.as_posix(): broken(page.read_text(), page, there) for page in PAGES}
    assert {page: links for page, links in found.items() if links} == {}


@pytest.mark.parametrize(
    "link", ["gone.md", "install.md#no-such", "#no-such", "../outside.md", "../../outside", "../.venv"]
)
def test_a_link_that_leads_nowhere_is_found(link: str) -> None:
    good = "[a](install.md#cuda-or-not) [a](#pages) [b](../finscale/meta) [c](https://example.org/x)"
    assert broken(f"{good} [d]({link})", Path("docs/README.md"), tracked()) == [link]


def test_the_index_has_every_page_once() -> None:
    linked = re.findall(r"^\| \[([\w.]+)\]\(\1\) \| \S", Path("docs/README.md").read_text(), flags=re.MULTILINE)
    assert sorted(linked) == sorted(path.name for path in PAGES[1:] if path.name != "README.md")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_is_one_that_there_is(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", Path("Makefile").read_text(), flags=re.MULTILINE))
    named = {name for line in targets for name in line.split()}
    assert set(re.findall(r"(?:`|^|&& )make ([a-z][a-z-]*)", text, flags=re.MULTILINE)) <= named
    modules = set(re.findall(r"python -m ((?:finscale|study|stages|tests)[\w.]*\w)", text))
    assert [module for module in sorted(modules) if find_spec(module) is None] == []
