# ruff: noqa: T201 - a program that reports on the terminal
"""`make release-check`: the wheel and the sdist, looked into and used outside of the checkout.

Every command and the seconds it took are printed; what went wrong ends it with exit code 1.
"""

import argparse
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hbpr", "tune", "cluster", "dashboards")
#: What an sdist holds beside the packages.
BESIDE = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "Makefile", "CHANGELOG.md")
SMALL = ["--set", "sweep.num_trials=2", "--set", "training.n_iter=8", "--cpus", "2"]
ROW = "ml-100k-75-25"


class CheckError(Exception):
    """Something is not as a user needs it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, help="use this one in place of a fresh one")
    parser.add_argument("--dist", type=Path, help="use the files in this folder, build none")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hbpr-release-") as temporary:
        folder = Path(temporary)
        try:
            dist = args.dist or build(folder)
            wheel, sdist = (one(dist, pattern) for pattern in ("*.whl", "*.tar.gz"))
            check_wheel(wheel)
            check_sdist(sdist)
            environment = args.environment or install(folder, wheel)
            use(environment / "bin", folder / "elsewhere")
        except CheckError as error:
            sys.exit(f"release-check: {error}")
    print("release-check: all is well")


def build(folder: Path) -> Path:
    """Build both, the wheel from the sdist as an installer does."""
    builder = folder / "builder"
    venv.create(builder, with_pip=True)
    run([builder / "bin/python", "-m", "pip", "install", "--quiet", "build"], ROOT)
    dist = folder / "dist"
    run([builder / "bin/python", "-m", "build", "--outdir", dist, ROOT], folder)
    return dist


def one(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise CheckError(f"{folder} should hold one {pattern}, got {[each.name for each in found]}")
    return found[0]


def tracked(*folders: str) -> set[str]:
    """Return the files that the repository has in some folders."""
    command = ["git", "ls-files", "--", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(opened.read(about), validate=True)
    wanted = tracked(*PACKAGES) | {f"hbpr/{name}" for name in tracked("configs")}
    lacking = {name for name in wanted if not name.endswith(".md")} - names
    if lacking:
        raise CheckError(f"{wheel.name} lacks {', '.join(sorted(lacking))}")
    extra = {name.partition("/")[0] for name in names} - {*PACKAGES, about.partition("/")[0]}
    if extra:
        raise CheckError(f"{wheel.name} brings {', '.join(sorted(extra))}, which is none of ours")
    if not metadata.description or metadata.description_content_type != "text/markdown":
        raise CheckError(f"{wheel.name}: the README is not its description")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB, metadata valid")


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as opened:
        names = {each.name.partition("/")[2] for each in opened.getmembers()}
    wanted = {*BESIDE, *tracked(*PACKAGES, "configs", "tests", "docs")}
    lacking = {name for name in wanted if not name.endswith(".gitignore")} - names
    if lacking:
        raise CheckError(f"{sdist.name} lacks {', '.join(sorted(lacking)[:10])}")
    print(f"{sdist.name}: {len(names)} files, {sdist.stat().st_size / 1e6:.1f} MB")


def install(folder: Path, wheel: Path) -> Path:
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    pip = [environment / "bin/python", "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--quiet", "-c", ROOT / "constraints.txt", wheel], folder)
    (packages,) = environment.glob("lib/python*/site-packages")
    weight = sum(each.stat().st_size for each in packages.rglob("*") if each.is_file())
    print(f"the installation weighs {weight / 1e9:.1f} GB")
    return environment


def use(programs: Path, folder: Path) -> None:
    """Walk through hbpr as its user does, in a folder of the user's."""
    folder.mkdir()
    hbpr = programs / "hbpr"
    run([hbpr, "--version"], folder)
    run([hbpr, "doctor"], folder)
    write_plays(folder / "plays.csv")
    run([hbpr, "init", "table", "plays.csv"], folder)
    run([hbpr, "config", "check", "plays.yaml", "--data"], folder)
    run([hbpr, "tune", "plays.yaml", *SMALL], folder)
    run([hbpr, "plot", "curves", "plays", "-o", "curves.html"], folder)
    serve(hbpr, folder)
    run([hbpr, "config", "check", "configs/ml-1m.yaml"], folder)
    run([hbpr, "tune", "quickstart", *SMALL], folder)
    run([hbpr, "reproduce", "--list"], folder)
    data = os.environ.get("HBPR_DATA_HOME")
    if data and any((Path(data) / name).is_dir() for name in ("ml-100k", "movielens/ml-100k")):
        run([hbpr, "reproduce", ROW, "--seeds", "3"], folder)
    else:
        print(f"left out: hbpr reproduce {ROW}, since HBPR_DATA_HOME names no folder with ml-100k")
    (folder / "tune.py").write_text("print('mine')\n")
    said = run([programs / "python", "-m", "hbpr", "tune", "quickstart"], folder, code=2)
    if "tune.py hides the package tune" not in said:
        raise CheckError(f"a tune.py of the user's is not named: {said}")


def serve(hbpr: Path, folder: Path) -> None:
    """Start the endpoint of the study's winner, and ask it once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (model,) = folder.glob("studies/plays/*/")
    command = [hbpr, "serve", model, "--port", str(port)]
    print(f"$ {shown(command)} &", flush=True)
    with subprocess.Popen(
        list(map(str, command)), cwd=folder, env=plain(), stderr=subprocess.DEVNULL
    ) as server:
        try:
            print(ask(f"http://127.0.0.1:{port}/recommend/1?k=3", server)[:200])
        finally:
            server.terminate()


def ask(address: str, server: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.2)
    raise CheckError(f"hbpr serve did not answer {address}; exit code {server.poll()}")


def write_plays(path: Path) -> None:
    """Write a table of plays: a few hundred users, songs in four genres, a year."""
    rng = random.Random(0)
    lines = ["user,song,played_at"]
    for second in range(8000):
        user = rng.randrange(200)
        song = 4 * rng.randrange(40) + (user % 4 if rng.random() < 0.8 else rng.randrange(4))
        lines.append(f"{user},{song},{1_700_000_000 + 4000 * second}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def plain() -> dict[str, str]:
    """Return the environment without what would lead back to the checkout."""
    return {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }


def shown(command: Sequence[object]) -> str:
    first, *rest = map(str, command)
    return shlex.join([Path(first).name, *rest])


def run(command: Sequence[object], folder: Path, *, code: int = 0) -> str:
    """Run a command, print its end, and return all that it said."""
    print(f"$ {shown(command)}", flush=True)
    started = time.monotonic()
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=plain(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.rstrip().splitlines()
    if done.returncode != code:
        raise CheckError(
            f"{shown(command)} ended with {done.returncode}, not {code}:\n" + "\n".join(lines[-40:])
        )
    for line in lines[-6:]:
        print(f"  {line}"[: shutil.get_terminal_size().columns])
    print(f"  -- {time.monotonic() - started:.1f} s", flush=True)
    return done.stdout


if __name__ == "__main__":
    main()
