from finscale.imports import import_closure

FILES = {
    "finscale/__init__.py": "",
    "finscale/a.py": "import numpy\nfrom finscale import b\n",
    "finscale/b.py": "def f():\n    from finscale.c.d import thing\n",
    "finscale/c/__init__.py": "",
    "finscale/c/d.py": "from . import e\nfrom ..b import f\n",
    "finscale/c/e.py": "",
    "finscale/unused.py": "",
}


def test_the_closure_follows_every_kind_of_import() -> None:
    assert import_closure("finscale.a", FILES.get) == {
        path: source for path, source in FILES.items() if path != "finscale/unused.py"
    }


def test_a_template_is_code_of_the_module_that_names_it_and_so_is_what_it_includes() -> None:
    folder = "finscale/pages/templates"
    files = {
        "finscale/__init__.py": "",
        "finscale/a.py": 'render("page.html.j2", title="no.template")\n',
        f"{folder}/page.html.j2": '<style>{% include "page.css.j2" %}</style>',
        f"{folder}/page.css.j2": "body { margin: 0 }",
        f"{folder}/other.md.j2": "",
    }
    assert set(import_closure("finscale.a", files.get)) == set(files) - {f"{folder}/other.md.j2"}
