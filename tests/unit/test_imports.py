"""The closure of a module's imports: every kind of import, and the files of its packages."""

from finscale.imports import as_text, import_closure

FILES = {
    "finscale/__init__.py": "",
    "finscale/a.py": "import numpy\nfrom finscale import b\n",
    "finscale/b.py": "def f():\n    from finscale.c.d import thing\n",
    "finscale/c/__init__.py": "",
    "finscale/c/d.py": "from . import e\nfrom ..b import f\n",
    "finscale/c/e.py": "",
    "finscale/c/names.yaml": "one: two",
    "finscale/c/templates/page.html.j2": "<p>",
    "finscale/unused.py": "",
    "finscale/unused_too/__init__.py": "",
    "finscale/unused_too/names.yaml": "",
}


def test_the_closure_follows_every_kind_of_import_and_takes_what_lies_in_the_packages() -> None:
    unused = {path for path in FILES if "unused" in path}
    assert import_closure("finscale.a", FILES) == {path: text for path, text in FILES.items() if path not in unused}


def test_line_ends_of_a_checkout_change_no_text() -> None:
    assert as_text(b"a\r\nb\r\n") == as_text(b"a\nb\n") == "a\nb\n"
