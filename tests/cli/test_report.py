"""`qm7 report`."""

import re
import shutil
import subprocess

import pytest


@pytest.fixture
def browser(tmp_path):
    """Opens a page in a browser without a window, and gives what it prints and says."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed: none of {', '.join(names)}")

    def open_page(page, *options):
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0")
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        return subprocess.run(
            [program, *flags, profile, *options, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    return open_page


@pytest.fixture
def page(command, three_variants, tmp_path):
    """The page of the runs."""
    done = command("report", three_variants, "--output", "report.html")
    assert (done.stdout, done.stderr) == ("report.html\n", "")
    return tmp_path / "report.html"


def test_a_browser_shows_the_tables_and_the_pictures_without_a_complaint(browser, page):
    shown = browser(page, "--dump-dom")
    assert shown.stdout.count("<table>") == 4
    assert shown.stdout.count("<svg ") == 4
    assert "CONSOLE" not in shown.stderr


def test_a_browser_prints_it(browser, page, tmp_path):
    browser(page, f"--print-to-pdf={tmp_path / 'report.pdf'}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) in range(2, 5)


def test_the_reference_the_groups_and_the_margin_are_chosen_and_in_its_command(command, three_variants, tmp_path):
    options = ("--by", "variant", "--reference", "variant=corrected", "--margin", "0.5")
    command("report", three_variants, "--output", "x.html", *options)
    text = (tmp_path / "x.html").read_text()
    assert re.findall(r"<p>([\w-]+) (?:is better than|is worse than|against) ([\w-]+)[ :]", text) == [
        ("original", "corrected"),
        ("no-prebias", "corrected"),
    ]
    assert f"{' '.join(options)} --output FILE.html</code>" in text


def test_what_was_there_stays_when_it_fails(command, page, three_variants):
    before = page.read_bytes()
    command("report", three_variants, "--output", "report.html", "--reference", "variant=none", status=1)
    command("report", "nowhere", "--output", "report.html", status=1)
    assert page.read_bytes() == before
