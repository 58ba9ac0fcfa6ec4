"""Links from the pages to files of the repository, for MkDocs: each file gets a page of the site of its own.

On a page, `[text](../experiments/paper.yaml)` works where the repository is looked at. In the site it leads to a page
that shows the file; a picture is copied; of a directory its README.md is shown, or the names in it.
"""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?(?=\))")
CODE = re.compile(r"^(```.*?^```$|(?: {4}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)  # fenced or indented
PICTURES = {".png", ".svg"}
NOT_SEARCHED = "---\nsearch: {exclude: true}\n---\n\n"
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".sh": "sh"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's files that pages link to, and those that these link to."""
    docs = Path(config.docs_dir)
    waiting = [(docs / file.src_uri, file.content_string) for file in files.documentation_pages()]
    while waiting:
        source, text = waiting.pop()
        for target in _targets(source, text):
            uri = _uri(target, docs)
            if target.is_relative_to(docs) or not target.exists() or files.get_file_from_path(uri):
                continue
            if target.suffix in PICTURES:
                files.append(File.generated(config, uri, abs_src_path=str(target)))
            else:
                content = _shown(target)
                files.append(File.generated(config, uri, content=NOT_SEARCHED + content))
                waiting.append((_source(target), content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links of a page lead to the pages of the files; a link to nothing stays, and fails a strict build."""
    docs = Path(config.docs_dir)
    uri = page.file.src_uri
    target = ROOT / uri.removeprefix("files/").removesuffix(".md")
    source = docs / uri if not uri.startswith("files/") else _source(target)

    def lead(match: re.Match[str]) -> str:
        wanted = _uri(_resolved(source, match[1]), docs)
        if files.get_file_from_path(wanted) is None:
            return match[0]
        return os.path.relpath(wanted, Path(uri).parent) + (match[2] or "")

    return _outside_code(markdown, lambda text: LINK.sub(lead, text))


def _outside_code(markdown: str, change):  # noqa: ANN001, ANN202 - str to str
    parts = CODE.split(markdown)
    return "".join(part if k % 2 else change(part) for k, part in enumerate(parts))


def _targets(source: Path, text: str) -> list[Path]:
    found: list[Path] = []
    _outside_code(text, lambda part: found.extend(_resolved(source, m[1]) for m in LINK.finditer(part)) or part)
    return found


def _resolved(source: Path, link: str) -> Path:
    return Path(os.path.normpath(source.parent / link))


def _source(target: Path) -> Path:
    """Return the file whose links are relative to where they stand: that of a directory's page is in it."""
    return target / "README.md" if target.is_dir() else target


def _uri(target: Path, docs: Path) -> str:
    """Return the address of a file's page among the sources of the site."""
    if target.is_relative_to(docs):
        return target.relative_to(docs).as_posix()
    if not target.is_relative_to(ROOT):
        return target.as_posix()
    name = target.relative_to(ROOT).as_posix()
    return f"files/{name}" if target.suffix in PICTURES else f"files/{name}.md"


def _shown(target: Path) -> str:
    """Return the page of a file or a directory."""
    name = target.relative_to(ROOT).as_posix()
    readme = _source(target)
    if readme.suffix == ".md" and readme.exists():
        return readme.read_text()
    if target.is_dir():
        listed = sorted(path.name + "/" * path.is_dir() for path in target.iterdir() if not path.name.startswith("."))
        return f"# {name}/\n\n" + "".join(f"- `{each}`\n" for each in listed)
    fence = "`" * 4
    return f"# {name}\n\n{fence}{LANGUAGES.get(target.suffix, 'text')}\n{target.read_text().rstrip()}\n{fence}\n"
