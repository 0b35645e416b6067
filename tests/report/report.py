#!/usr/bin/env python3
"""The report page in a real browser: installs playwright-core from npm, once,
and hands over to report.mjs, with whatever arguments came."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import npm  # noqa: E402
from suite import BUILD, ROOT  # noqa: E402

SOURCE = ROOT / "tests" / "report"

npm.install(SOURCE, BUILD / "report")
sys.exit(subprocess.run(["node", SOURCE / "report.mjs", *sys.argv[1:]],
                        cwd=ROOT, check=False).returncode)
