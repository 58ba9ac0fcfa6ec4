"""The site of the pages: it is whole, and needs no network when it is looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_it_is_built_without_a_warning_and_has_all_that_a_page_loads_and_every_page_in_the_navigation(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml"]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([*build, "--site-dir", tmp_path], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*?\bsrc="?([^" >]+)', text)
        loaded += re.findall(r'<link rel="?(?:stylesheet|icon|preload|preconnect)"? [^>]*?href="?([^" >]+)', text)
        assert len(loaded) >= 4
        for address in loaded:
            assert not re.match(r"\w+:|//", address), (page, address)
            assert (page.parent / address.partition("?")[0]).resolve().exists() or page.name == "404.html", address
    for style in tmp_path.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", style.read_text())
    shown = (tmp_path / "index.html").read_text()
    assert all(f"{page.stem}.html" in shown for page in (ROOT / "docs").glob("*.md") if page.stem != "index")
