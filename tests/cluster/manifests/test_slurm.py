"""The batch script of `hbpr cluster manifest slurm` on a Slurm of one machine, on loopback."""

import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.manifests.render import Names, render

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
_CONF = """\
ClusterName=hbpr
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ctld}
FirstJobId={first}
SlurmdPort={d}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} RealMemory={memory_mib}
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A controller and a node; `env` reaches them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))
        } | {
            "PATH": f"{BIN}:{_PATH}",
            "SLURM_CONF": str(folder / "slurm.conf"),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every socket of Ray on 127.0.0.1
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "OMP_NUM_THREADS": "1",
        }
        self._jobs: list[str] = []
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("wb") as log:
            self._running.append(
                (name, subprocess.Popen([name, *words], env=self.env, stdout=log, stderr=log))
            )

    def call(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run(
            words, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert fails or done.returncode == 0, f"{words}: {done.stderr}{self.logs()}"
        return done.stdout

    def wait(self, what: str, seconds: float, *words: str) -> None:
        until = time.monotonic() + seconds
        while what not in self.call(*words, fails=True):
            assert time.monotonic() < until, f"{words} never said {what}: {self.logs()}"
            time.sleep(0.5)

    def submit(self, script: Path) -> str:
        job = self.call("sbatch", "--parsable", "--output=job-%j.out", str(script)).strip()
        self._jobs.append(job)
        return job

    def ended(self, job: str, seconds: float = 300) -> tuple[str, str]:
        """Wait until a job has ended; return its state and its exit code."""
        until = time.monotonic() + seconds
        while True:
            told = self.call("scontrol", "show", "job", job)
            state = re.search(r"JobState=(\w+)", told)
            code = re.search(r"ExitCode=(\S+)", told)
            assert state is not None
            assert code is not None
            if state[1] not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
                return state[1], code[1]
            assert time.monotonic() < until, f"{told}{self.logs()}"
            time.sleep(0.5)

    def logs(self) -> str:
        return "".join(
            f"\n--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.folder.glob("*.out"))
        )

    def stop(self) -> None:
        for _, process in reversed(self._running):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for job in self._jobs:
            shutil.rmtree(f"/tmp/ray-{job}", ignore_errors=True)


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        pytest.skip(f"no Slurm on this machine: {', '.join(missing)}")
    if os.getuid() != 0:
        pytest.skip("slurmd starts jobs as root alone")
    folder = Path(tempfile.mkdtemp(prefix="hbpr-slurm-", dir="/tmp"))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ctld, slurmd = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    (folder / "slurm.conf").write_text(
        _CONF.format(
            folder=folder,
            ctld=ctld,
            first=1000 + secrets.randbelow(100_000),
            d=slurmd,
            user=pwd.getpwuid(os.getuid()).pw_name,
            host=socket.gethostname(),
            cpus=os.cpu_count(),
            memory_mib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**21,
        )
    )
    made = Slurm(folder)
    try:
        files = {"key-file": key} | {
            f"{name}-file": folder / f"munge.{name}" for name in ("pid", "log", "seed")
        }
        made.start(
            "munged",
            "--foreground",
            "--force",
            f"--socket={folder}/munge.socket",
            *(f"--{name}={path}" for name, path in files.items()),
        )
        made.start("slurmctld", "-D")
        made.start("slurmd", "-D", "-N", "localhost")
        made.wait("idle", 60, "sinfo", "--noheader", "--format=%T")
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def script(slurm: Slurm) -> Path:
    """The batch script of a small study that takes a while."""
    settings = yaml.safe_load((REPO / "configs" / "quickstart.yaml").read_text())
    settings["data"]["synthetic"] = {"n_users": 150}
    settings["training"] |= {"n_iter": 100, "early_stopping_patience": 0}
    settings["sweep"] |= {"num_trials": 3, "scheduler": {"kind": "none"}}
    config = slurm.folder / "study.yaml"
    config.write_text(yaml.safe_dump(settings))
    names = Names(
        config=str(config),
        shared=f"{slurm.folder}/shared",
        tracking_uri=f"sqlite:///{slurm.folder}/mlflow.db",
        workers=1,
        cpus=1,
        memory_gib=3,
    )
    script = slurm.folder / "study.sh"
    script.write_text(render("slurm", names))
    return script


def test_a_job_near_its_end_stops_in_order_and_the_next_one_goes_on(
    slurm: Slurm, script: Path
) -> None:
    first = slurm.submit(script)
    slurm.wait("settings.json", 300, "find", "shared", "-name", "settings.json")
    slurm.call("scancel", "--batch", "--signal=TERM", first)  # as --signal=B:TERM@120 does
    assert slurm.ended(first) == ("FAILED", "130:0"), slurm.logs()
    assert "the study was stopped" in (slurm.folder / f"job-{first}.out").read_text()
    assert not list(slurm.folder.glob("shared/studies/*/*/summary.json"))

    second = slurm.submit(script)
    assert slurm.ended(second) == ("COMPLETED", "0:0"), slurm.logs()
    (summary,) = slurm.folder.glob("shared/studies/*/*/summary.json")
    assert len(list(slurm.folder.glob("shared/studies/*/*/settings.json"))) == 1
    assert len(json.loads(summary.read_text())["trials"]) == 3
    assert not list(slurm.folder.glob("shared/.hbpr-token*"))  # a token ends with its job
