"""The site of the pages: it is whole, and needs no network when it is looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("material", reason="mkdocs-material is not installed")


@pytest.fixture(scope="module")
def site(once):
    """The built site."""

    def make(path):
        build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml"]
        env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        build += ["--site-dir", path / "site"]
        done = subprocess.run(build, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr

    return once("the-site", make) / "site"


def test_all_that_a_page_loads_is_in_the_site(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*?\bsrc="?([^" >]+)', text)
        loaded += re.findall(r'<link rel="?(?:stylesheet|icon|preload|preconnect)"? [^>]*?href="?([^" >]+)', text)
        assert len(loaded) >= 4
        for address in loaded:
            assert not re.match(r"\w+:|//", address), (page, address)
            assert (page.parent / address.partition("?")[0]).resolve().exists() or page.name == "404.html", address
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", style.read_text())


def test_every_page_is_in_the_navigation_and_begins_with_what_it_does(site):
    shown = (site / "index.html").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        if page.name != "index.md":
            assert f"{page.stem}.html" in shown
        title, _, beginning = page.read_text().partition("\n\n")
        assert title.startswith("# ")
        first = " ".join(beginning.partition("\n## ")[0].split())
        assert first, page.name
        assert "page is for you" not in first, page.name
