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
    assert shown.stdout.count("<svg ") == 5
    for variant in ("original", "corrected", "no-prebias"):
        assert f">{variant}</" in shown.stdout
    assert "CONSOLE" not in shown.stderr


def test_a_complaint_would_be_heard(browser, tmp_path):
    (tmp_path / "bad.html").write_text("<script>nowhere()</script>")
    assert "CONSOLE" in browser(tmp_path / "bad.html", "--dump-dom").stderr


def test_a_browser_prints_it(browser, page, tmp_path):
    browser(page, f"--print-to-pdf={tmp_path / 'report.pdf'}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) in range(2, 5)


def test_the_reference_and_the_groups_can_be_chosen(command, three_variants, tmp_path):
    command("report", three_variants, "--output", "x.html", "--reference", "variant=corrected", "--by", "variant")
    text = (tmp_path / "x.html").read_text()
    assert re.findall(r"<p>([\w-]+) (?:is better than|is worse than|against) ([\w-]+)[ :]", text) == [
        ("original", "corrected"),
        ("no-prebias", "corrected"),
    ]
    message = command("report", three_variants, "--output", "x.html", "--reference", "variant=none", status=1).stderr
    assert message.startswith("qm7: the reference variant=none is in no group")


def test_runs_with_odd_names_are_shown_as_they_are(command, three_variants, tmp_path):
    shutil.copytree(three_variants, tmp_path / "<b>&")
    command("report", "<b>&", "--output", "x.html")
    text = (tmp_path / "x.html").read_text()
    assert '<th scope="row">&lt;b&gt;&amp;/original</th>' in text
    assert "<b>&/" not in text
    assert "qm7 report &#x27;&lt;b&gt;&amp;&#x27; --output FILE.html</code>" in text


def test_what_was_there_stays_when_it_fails(command, page, three_variants, tmp_path):
    before = page.read_bytes()
    (tmp_path / "path").mkdir()
    (tmp_path / "path/matplotlib.py").write_text("raise ImportError('none here')")
    arguments = ("report", three_variants, "--output", "report.html")
    done = command(*arguments, PYTHONPATH=str(tmp_path / "path"), status=1)
    assert done.stderr == "qm7: pictures are drawn by matplotlib, which is missing: pip install 'qm7cli[plots]'\n"
    assert command("report", "nowhere", "--output", "report.html", status=1).stderr.startswith(
        "qm7: nowhere is not a run"
    )
    assert page.read_bytes() == before
    assert "'--output'" in command("report", "nowhere", status=2).stderr


def test_the_same_runs_give_the_same_bytes(command, page, three_variants, tmp_path):
    command("report", three_variants, "--output", "again.html", PYTHONHASHSEED="1")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
