"""Packages from npm, for tests only: installed into a folder under build."""

from suite import run


def install(source, target):
    """What package-lock.json in `source` says, into `target`; what is there
    already in this version stays."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = (source / "package-lock.json").read_text(encoding="ascii")
    stamp = target / "installed"
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    for name in ("package.json", "package-lock.json"):
        text = (source / name).read_text(encoding="ascii")
        (target / name).write_text(text, encoding="ascii")
    run(["npm", "ci", "--prefix", target, "--ignore-scripts", "--no-audit",
         "--no-fund"], timeout=600)
    stamp.write_text(wanted, encoding="ascii")
