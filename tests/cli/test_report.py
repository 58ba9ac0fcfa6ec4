"""`qm7 report`."""

import re


def test_the_reference_the_groups_and_the_margin_are_chosen_and_in_its_command(command, three_variants, tmp_path):
    options = ("--by", "variant", "--reference", "variant=corrected", "--margin", "0.5")
    command("report", three_variants, "--output", "x.html", *options)
    text = (tmp_path / "x.html").read_text()
    assert re.findall(r"<p>([\w-]+) (?:is better than|is worse than|against) ([\w-]+)[ :]", text) == [
        ("original", "corrected"),
        ("no-prebias", "corrected"),
    ]
    assert f"{' '.join(options)} --output FILE.html</code>" in text
