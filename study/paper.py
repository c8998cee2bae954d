"""paper: docs/article.md -> reports/paper.pdf, set by pandoc and typst

Reads  docs/article.md and the figures that it shows
Writes reports/paper.pdf     not tracked: the same article gives the same file
Why    an article is read on paper too, and is sent. Both programs come as wheels (requirements-paper.txt).

    make paper
"""

import re
from pathlib import Path

from PIL import Image

from finscale.cli import run
from finscale.errors import InputError
from finscale.storage import read_text, write_bytes
from study.article import PAGE

PAPER = Path("reports/paper.pdf")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://)[^)]*\)")  # to another page of the repository
_UNIT = re.compile(r"(?<=\d) (?=%)")
_MINUS = re.compile(r"(?<![\w.-])-(?=\d)")
_FIGURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
_TITLE = re.compile(r"\A# (.+)\n")
_HEAD = """---
title: {title}
papersize: a4
fontsize: 10pt
margin: {{x: 2.4cm, y: 2.4cm}}
linkcolor: "1f4e79"
header-includes: |
  ```{{=typst}}
  #show table: set align(left)
  #show figure.where(kind: image): set figure(placement: auto)
  ```
---
"""
_WIDE, _ALL, _PART = 2.0, 100, 70  # wide figures take all of the line, others so many percent of it


def manuscript(text: str, folder: Path) -> str:
    """The page as pandoc is to read it: its heading is the title, figures lie below the repository's root.

    folder: of the page. A link to another page of the repository becomes its words: on paper there is none to follow.
    """
    found = _TITLE.match(text)
    if not found:
        raise InputError(f"{PAGE}: its first line is no '# title'; `make article` writes the page again")
    body = _MINUS.sub("\N{MINUS SIGN}", _LINK.sub(r"\1", text[found.end() :]))
    body = _UNIT.sub("\N{NO-BREAK SPACE}", body)
    root = Path.cwd()

    def below_root(figure: re.Match[str]) -> str:
        path = (folder / figure[2]).resolve()
        if not path.is_file():
            raise InputError(f"{PAGE} shows {figure[2]}, which is not there; `dvc repro` makes the figures")
        with Image.open(path) as image:
            percent = _ALL if image.width > _WIDE * image.height else _PART
        return f"![{figure[1]}](/{path.relative_to(root).as_posix()}){{width={percent}%}}"

    return _HEAD.format(title=found[1]) + _FIGURE.sub(below_root, body)


def main() -> None:
    try:
        import pypandoc
        import typst
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed; `make paper`, or pip install -r requirements-paper.txt"
        ) from None
    text = manuscript(read_text(PAGE), PAGE.parent)
    source = pypandoc.convert_text(text, "typst", format="markdown", extra_args=["--standalone"])
    # A fixed time, so that the same article is the same file.
    write_bytes(PAPER, typst.compile(source.encode(), root=".", format="pdf", ignore_system_fonts=True, timestamp=0))
    print(f"paper: {PAPER}")


if __name__ == "__main__":
    run(main)
