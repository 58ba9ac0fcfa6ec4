"""`qm7 download`: fetch the data set."""

import re
from pathlib import Path
from typing import Annotated

import typer

from qm7cli.cli.options import Quiet
from qm7cli.cli.output import note, say


def download(
    dest: Annotated[Path, typer.Option(metavar="FILE", help="Where to put the file.")] = Path("data/qm7.mat"),
    url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Where to get it; repeatable. [default: the sites that publish QM7]"),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="Expected SHA-256, or any for any sound data set. [default: that of QM7]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Download even if the file exists, and replace it.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download QM7 and check it.

    A file is kept if it is correct. Another file is replaced only with --force, and only by a correct one.

    Examples:
      qm7 download
      qm7 download --dest ~/data/qm7.mat
    """
    from qm7cli.cli.progress import show_bytes
    from qm7cli.data.dataset import PUBLISHED_SHA256
    from qm7cli.data.download import MIRRORS, download_dataset, find_dataset

    wanted = (sha256 or PUBLISHED_SHA256).lower()
    if wanted != "any" and not re.fullmatch("[0-9a-f]{64}", wanted):
        raise typer.BadParameter(f"{sha256} is neither any nor 64 hexadecimal digits", param_hint="'--sha256'")
    dataset = find_dataset(dest, wanted, force=force)
    origin = "is there already" if dataset else "downloaded"
    if not dataset:
        with show_bytes(dest.name, quiet=quiet) as report:
            dataset = download_dataset(
                dest, url or MIRRORS, wanted, report=report, notice=lambda line: None if quiet else note(line)
            )
    say(f"{dest}: {origin}, {len(dataset)} molecules, SHA-256 {dataset.sha256}")
