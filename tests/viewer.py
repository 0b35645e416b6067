"""Trace files in a real viewer: Perfetto's own importer, from npm."""

import json

import npm
from suite import BUILD, ROOT, fail, run

SOURCE = ROOT / "tests" / "trace" / "viewer"


def install_viewer():
    npm.install(SOURCE, BUILD / "viewer")


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
