"""`hbpr doctor`: what is installed and what this machine has, in one screen for a bug report."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import click

from hbpr.errors import HbprError

_LIBRARIES: Final = (
    *("torch", "numba", "numpy", "scipy", "pandas", "pyarrow"),
    *("ray", "optuna", "mlflow", "pydantic", "fastapi"),
)
_OPTIONAL: Final = {"serve": "starlette", "s3": "boto3", "docs": "nbclient", "dev": "pytest"}
_PACKAGES: Final = ("tune", "cluster", "dashboards")
_GIB: Final = 2**30
#: What Linux tells of its memory.
_MEMINFO: Final = Path("/proc/meminfo")
#: Where Linux says what a container may use; version 2, then 1.
_LIMITS: Final = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


@click.command(
    epilog="""\b
Examples:
  hbpr doctor
  hbpr doctor > report.txt                  # nothing in it is secret
""",
)
def doctor() -> None:
    """Say what is installed, which engine runs, and what this machine has.

    Passwords in addresses and the path of your home folder are left out. Exit code 1 if something
    that hbpr needs is missing.
    """
    problems = []
    for name, look in _CHECKS.items():
        try:
            text = look()
        except (HbprError, OSError, ImportError, RuntimeError, ValueError) as error:
            text = f"PROBLEM: {_first_line(error)}"
            problems.append(name)
        for number, line in enumerate(text.splitlines()):
            click.echo(f"{name if number == 0 else '':<10} {shortened(line)}")
    if problems:
        raise HbprError(f"doctor: look at {', '.join(problems)} above")


def shortened(text: str) -> str:
    """Return a text without the home folder, user names and passwords.

    Example:
        >>> shortened(f"{Path.home()}/x http://ann:pa55@host")
        '~/x http://***@host'
    """
    from hbpr.settings.problems import mask_secrets

    home = str(Path.home())
    return mask_secrets(text.replace(home, "~") if home != "/" else text)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _hbpr() -> str:
    from hbpr.hidden import check_not_hidden
    from hbpr.version import __version__

    for package in _PACKAGES:
        check_not_hidden(package)
    place = Path(__file__).parents[2]
    editable = "a checkout" if (place / "pyproject.toml").is_file() else "installed"
    return f"{__version__} ({editable}) in {place}"


def _python() -> str:
    inside = "" if sys.prefix != sys.base_prefix else ", no virtual environment"
    return (
        f"{platform.python_version()} on {platform.system()} {platform.release()} "
        f"{platform.machine()}{inside}"
    )


def _libraries() -> str:
    found, missing = [], []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise RuntimeError(
            f"not installed: {', '.join(missing)}. Install hbpr again, with what it requires"
        )
    extras = [name for name, module in _OPTIONAL.items() if importlib.util.find_spec(module)]
    lines = [", ".join(found[:6]), ", ".join(found[6:])]
    return "\n".join([*lines, f"extras: {', '.join(extras) or 'none'}"])


def _engine() -> str:
    """Train the quick start for an epoch, as its study does."""
    from hbpr.data import load_data
    from hbpr.settings import load_trial
    from hbpr.training.trainer import Trainer
    from hbpr.training.warmup import cache_folder, is_compiled

    settings = load_trial("quickstart", ["training.n_iter=1"])
    compiled = is_compiled()
    trainer = Trainer(load_data(settings.data), settings)
    for _ in trainer:
        pass
    how = "was compiled before" if compiled else "was compiled just now"
    return (
        f"{trainer.engine_name} trains the quick start ({trainer.engine_reason})\n"
        f"compiled code in {cache_folder()}, {how}"
    )


def _processors() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    exported = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    return f"{usable} of {os.cpu_count()}{load}{''.join(f', {each}' for each in exported)}"


def _memory() -> str:
    if not _MEMINFO.is_file():  # macOS: the total is all that Python can tell there
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / _GIB:.1f} GiB"
    kib = {
        line.split(":")[0]: int(line.split()[1])
        for line in _MEMINFO.read_text(encoding="ascii").splitlines()
    }
    free, total = (kib[key] * 1024 / _GIB for key in ("MemAvailable", "MemTotal"))
    shared = shutil.disk_usage("/dev/shm").free / _GIB if Path("/dev/shm").is_dir() else 0.0
    return f"{free:.1f} of {total:.1f} GiB free{_limit(total)}; /dev/shm {shared:.1f} GiB free"


def _limit(total: float) -> str:
    for path in map(Path, _LIMITS):
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdigit() and int(text) / _GIB < total:
            return f", of which this container may use {int(text) / _GIB:.1f}"
    return ""


def _disk() -> str:
    def free(folder: str | Path) -> str:
        return f"{shutil.disk_usage(folder).free / _GIB:.0f} GiB free"

    here, temporary = Path.cwd(), tempfile.gettempdir()
    writable = "" if os.access(here, os.W_OK) else ", NOT WRITABLE"
    return f"{free(here)} in {here}{writable}; {free(temporary)} in {temporary}"


def _gpu() -> str:
    import torch

    built = f"torch is built for {torch.version.cuda or 'CPU'}"
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(k) for k in range(torch.cuda.device_count())]
        return "; ".join(f"{c.name}, {c.total_memory / _GIB:.0f} GiB" for c in cards) + f"; {built}"
    return f"none that torch can use; {built}{_cards()}"


def _cards() -> str:
    """Name cards that are there but not used."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    done = subprocess.run(
        [program, "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return f"; this machine has {', '.join(names)}" if done.returncode == 0 and names else ""


def _ray() -> str:
    address = os.environ.get("RAY_ADDRESS")
    joined = f"RAY_ADDRESS={address}" if address else "a private one for each study"
    auth = os.environ.get("RAY_AUTH_MODE")
    return f"{version('ray')}, {joined}{f', RAY_AUTH_MODE={auth}' if auth else ''}"


def _mlflow() -> str:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    here = Path("mlflow.db")
    store = (
        f"mlflow.db here, {here.stat().st_size / 2**20:.1f} MiB" if here.is_file() else "none here"
    )
    return f"{version('mlflow')}, {f'MLFLOW_TRACKING_URI={uri}' if uri else store}"


def _data() -> str:
    from hbpr.data.download import ENV_HOME, data_home

    folder = data_home()
    how = ENV_HOME if os.environ.get(ENV_HOME) else "the default"
    if not folder.is_dir():
        return f"{folder} ({how}), not there yet"
    names = sorted(each.name for each in folder.iterdir() if each.is_dir())
    return f"{folder} ({how}): {', '.join(names[:12]) or 'empty'}"


_CHECKS: Final[dict[str, Callable[[], str]]] = {
    "hbpr": _hbpr,
    "python": _python,
    "libraries": _libraries,
    "engine": _engine,
    "CPUs": _processors,
    "memory": _memory,
    "disk": _disk,
    "GPU": _gpu,
    "Ray": _ray,
    "MLflow": _mlflow,
    "data": _data,
}
