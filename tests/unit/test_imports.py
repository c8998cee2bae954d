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
