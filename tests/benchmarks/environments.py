"""Make a virtual environment for each peer, since their dependencies do not go together.

One that cannot be installed is written down as missing, with the reason, and the rest goes on.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOME = ROOT / ".venv-bench"

#: What pip is told, step by step, after ``pip install``.
STEPS: dict[str, list[list[str]]] = {
    "implicit": [["-r", "implicit.txt"]],
    "cornac": [["-r", "cornac.txt"]],
    "lightfm": [
        ["-r", "lightfm.txt"],
        ["--no-build-isolation", "--no-use-pep517", "--no-deps", "lightfm==1.17"],
    ],
    "recbole": [["-r", "recbole.txt"], ["--no-deps", "recbole==1.2.1"]],
    "warprec": [["-r", "warprec.txt"]],
}
#: Sides that run in the interpreter of this program.
OWN = ("hbpr", "ease", "ray_tune", "optuna")
#: Peers that need another Python than the oldest that hbpr runs on.
PYTHONS = {"warprec": (3, 12)}


def python_of(peer: str) -> Path:
    """The interpreter of a peer; `OWN` sides run in the interpreter of this program."""
    return Path(sys.executable) if peer in OWN else HOME / peer / "bin" / "python"


def why_missing(peer: str) -> str | None:
    """Why a peer cannot be run, or None where it can."""
    if peer in OWN or _stamp(peer).exists():
        return None
    failed = HOME / f"{peer}.failed"
    return failed.read_text().strip() if failed.exists() else "not installed: run make bench"


def install(peer: str) -> bool:
    """Install a peer unless its pins are installed already; return whether it can be run."""
    digest = _digest(peer)
    stamp, failed = _stamp(peer), HOME / f"{peer}.failed"
    if stamp.exists() and stamp.read_text() == digest:
        return True
    stamp.unlink(missing_ok=True)
    failed.unlink(missing_ok=True)
    python = _interpreter(peer)
    if python is None:
        words = ".".join(map(str, PYTHONS[peer]))
        HOME.mkdir(exist_ok=True)
        failed.write_text(f"it needs Python {words}, which is not on PATH or under pyenv\n")
        return False
    subprocess.run([python, "-m", "venv", "--clear", str(HOME / peer)], check=True)
    for step in STEPS[peer]:
        done = subprocess.run(
            [str(python_of(peer)), "-m", "pip", "install", "--disable-pip-version-check", *step],
            cwd=HERE / "requirements",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["no output"]
            failed.write_text(f"pip install {' '.join(step)} failed: {lines[-1].strip()}\n")
            return False
    stamp.write_text(digest)
    return True


def _interpreter(peer: str) -> str | None:
    """A Python that a peer's environment can be made with, or None."""
    wanted = PYTHONS.get(peer)
    if wanted is None or sys.version_info[:2] >= wanted:
        return sys.executable
    name = "python" + ".".join(map(str, wanted))
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = [shutil.which(name), *map(str, sorted(pyenv.glob(f"versions/*/bin/{name}")))]
    for python in filter(None, found):
        if subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def _stamp(peer: str) -> Path:
    return HOME / peer / ".installed"


def _digest(peer: str) -> str:
    pins = (HERE / "requirements" / f"{peer}.txt").read_text()
    return hashlib.sha256((pins + json.dumps(STEPS[peer])).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", nargs="*", default=list(STEPS), help="default: all")
    for peer in parser.parse_args().peers:
        state = "installed" if install(peer) else f"MISSING: {why_missing(peer)}"
        sys.stdout.write(f"{peer}: {state}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
