#!/usr/bin/env python3
"""The report page in a real browser: installs playwright-core from npm, once,
and hands over to report.mjs, with whatever arguments came."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import npm  # noqa: E402
from suite import BUILD, ROOT, check, count_others, finish  # noqa: E402

SOURCE = ROOT / "tests" / "programs" / "report"
LIMIT_S = 600

with check("report: the page in a browser"):
    npm.install(SOURCE, BUILD / "report")
    count_others(["node", SOURCE / "report.mjs", *sys.argv[1:]],
                 timeout=LIMIT_S)
finish()
