"""Real hosts on this machine: network namespaces with addresses of their own, and a bridge.

A host has its own network, name, processes and mounts: Ray's temporary folder and /dev/shm are its
own, as in life. Its first process, like that of the bridge, ends when this process does, however
it ends; with it go all processes of the host, its mounts and its links. Nothing is left behind.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.manifests.render import HEALTH_CHECKS

from .watch import WATCH, Watch

BIN = Path(sys.executable).parent
PORT, DASHBOARD = 6379, 8265

#: The first process of a host: it collects orphans, and ends with who holds its stdin.
_INIT = """
import signal, socket, subprocess, sys
if len(sys.argv) > 1:
    name, own, hosts, ray, *hidden = sys.argv[1:]
    socket.sethostname(name)
    for mount in (["--bind", own, ray], ["--bind", hosts, "/etc/hosts"],
                  ["-t", "tmpfs", "-o", "size=2g", "tmpfs", "/dev/shm"],
                  *(["-t", "tmpfs", "tmpfs", folder] for folder in hidden)):
        subprocess.run(["mount", *mount], check=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("up", flush=True)
sys.stdin.read()
"""
#: A node is started again when it ends, as by systemd, Kubernetes or compose.
_SUPERVISED = 'while :; do "$@"; echo "ended with $? at $(date +%s.%N)"; sleep 1; done'


def why_not() -> str:
    """Return why there can be no hosts here; empty where there can."""
    missing = [name for name in ("ip", "unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"hosts in network namespaces need {', '.join(missing)}"
    tried = subprocess.run(
        ["unshare", "-n", "-u", "-m", "-p", "-f", "ip", "link", "add", "br0", "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"network namespaces are not allowed here: {tried.stderr}" if tried.returncode else ""


@dataclass
class Host:
    """A host, up or killed.

    Attributes:
        name: Its name, which the others know.
        address: Its IPv4 address.
        own: Its part of Ray's temporary folder, seen from here.
        init: Its first process.
        pid: That process, by the number that it has here.
        log: What its node of Ray has printed.
    """

    name: str
    address: str
    own: Path
    init: subprocess.Popen[str]
    pid: int
    log: Path
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)


class Hosts:
    """A network of hosts, and the commands to build and to break it.

    Args:
        root: Folder with a short path: the hosts share what is in it, but for `ray`.
        env: Environment of all nodes and clients.
    """

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self.root = root
        self.shared = root / "shared"
        self.ray = root / "ray"  # on each host a folder of its own
        own = {"TMPDIR": f"{self.ray}/tmp", "XDG_DATA_HOME": f"{self.ray}/data"}
        self.env = dict(env) | {"RAY_TMPDIR": str(self.ray)} | own
        self.hosts: dict[str, Host] = {}
        self._watching: subprocess.Popen[bytes] | None = None
        self._networks: dict[str, int] = {}  # of killed hosts: their kernels still answer
        for folder in (self.shared, self.ray):
            folder.mkdir()
        known = [f"10.77.0.{n} h{n}" for n in range(1, 10)]
        (root / "hosts").write_text("\n".join(["127.0.0.1 localhost", *known, ""]))
        self._bridge, self._bridge_pid = _first_process(["unshare", "-n"])
        self._ip("link add br0 type bridge")
        self._ip("link set br0 up")

    def _ip(self, words: str, pid: int | None = None) -> None:
        target = f"--target={pid or self._bridge_pid}"
        subprocess.run(["nsenter", target, "-n", "ip", *words.split()], check=True)

    def add(self, n: int, *, shares: bool = True) -> Host:
        """Add the host `hN` with the address 10.77.0.N, without Ray.

        Args:
            n: From 1 to 9; a killed host may be added again.
            shares: Whether it has the shared folder; else an empty one of its own.
        """
        name = f"h{n}"
        if name in self._networks:
            os.close(self._networks.pop(name))
            with suppress(subprocess.CalledProcessError):  # it went with its network
                self._ip(f"link delete {name}")
        own, log = self.root / name, self.root / f"{name}.log"
        shutil.rmtree(own, ignore_errors=True)  # a host that is added again has an empty disk
        (own / "tmp").mkdir(parents=True)
        log.unlink(missing_ok=True)
        init, pid = _first_process(
            ["unshare", "-n", "-u", "-m", "-p", "-f", "--mount-proc", "--kill-child"],
            name,
            str(own),
            str(self.root / "hosts"),
            str(self.ray),
            *(() if shares else (str(self.shared),)),
        )
        host = Host(name, f"10.77.0.{n}", own, init, pid, log)
        self.hosts[name] = host
        self._ip(f"link add {name} type veth peer name eth0 netns {pid}")
        self._ip(f"link set {name} master br0 up")
        self._ip("link set lo up", pid)
        self._ip(f"address add {host.address}/24 dev eth0", pid)
        self._ip("link set eth0 up", pid)
        return host

    def command(self, host: Host, words: Sequence[str]) -> list[str]:
        """Return the command that runs a command on a host, in the shared folder."""
        enter = ["nsenter", f"--target={host.pid}", "-n", "-u", "-m", "-p", "--"]
        return [*enter, "env", f"--chdir={self.shared}", *words]

    def popen(
        self, host: Host, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command on a host."""
        return subprocess.Popen(
            self.command(host, words),
            env=self.env | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # what signals its group on the host means none of ours
        )

    def run(
        self, host: Host, *words: str, env: Mapping[str, str] | None = None, timeout_s: int = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host; stderr is with stdout."""
        process = self.popen(host, *words, env=env)
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            end(process)
            raise
        return subprocess.CompletedProcess(words, process.returncode, said)

    def start_node(self, host: Host, *options: str, env: Mapping[str, str] | None = None) -> None:
        """Start `ray start --block` on a host, the head on h1; it is started again if it ends."""
        role = [f"--address={self.head}"]
        if host.name == "h1":
            role = ["--head", f"--port={PORT}", f"--dashboard-port={DASHBOARD}"]
            role += ["--dashboard-host=0.0.0.0"]
        words = [str(BIN / "ray"), "start", "--block", f"--node-ip-address={host.address}", *role]
        words += ["--disable-usage-stats", "--object-store-memory=157286400", *options]
        with host.log.open("ab") as log:
            host.nodes.append(
                subprocess.Popen(
                    self.command(host, ["sh", "-c", _SUPERVISED, "node", *words]),
                    env=self.env | HEALTH_CHECKS | dict(env or {}),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def wait_for_node(self, host: Host, timeout_s: float = 240.0) -> None:
        """Wait until a host's Ray says that it runs."""
        until = time.monotonic() + timeout_s
        while "Ray runtime started" not in host.log.read_text():
            assert time.monotonic() < until, f"{host.name}: no Ray:\n{host.log.read_text()}"
            time.sleep(0.2)

    @property
    def head(self) -> str:
        """HOST:PORT of the head."""
        return f"10.77.0.1:{PORT}"

    @property
    def dashboard(self) -> str:
        """Address for jobs."""
        return f"http://10.77.0.1:{DASHBOARD}"

    def kill(self, host: Host) -> float:
        """Kill all processes of a host at once; return when."""
        self._networks[host.name] = os.open(f"/proc/{host.pid}/ns/net", os.O_RDONLY)
        now = time.time()
        os.kill(host.pid, signal.SIGKILL)
        host.init.communicate()
        for process in host.nodes:
            process.wait()
        del self.hosts[host.name]
        return now

    def cut(self, host: Host) -> float:
        """Cut the link of a host, silently; return when."""
        self._ip(f"link set {host.name} down")
        return time.time()

    def mend(self, host: Host) -> float:
        """Mend the link of a host; return when."""
        self._ip(f"link set {host.name} up")
        return time.time()

    def drain(self, node_id: str, deadline_s: int = 60) -> float:
        """Have Ray drain a node, as before a pre-emption; return when."""
        now = time.time()
        done = self.run(
            self.hosts["h1"],
            *(str(BIN / "ray"), "drain-node", f"--address={self.head}", f"--node-id={node_id}"),
            *("--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=going"),
            f"--deadline-remaining-seconds={deadline_s}",
        )
        assert done.returncode == 0, done.stdout
        return now

    def watch(self) -> Watch:
        """Start to write down, on the head, how its nodes are; one watch at a time."""
        if self._watching is not None:
            end(self._watching)
        words = [sys.executable, "-c", WATCH, self.head]
        with (self.root / "watch.log").open("w") as log:
            self._watching = subprocess.Popen(
                self.command(self.hosts["h1"], words),
                env=self.env,
                stdout=log,
                start_new_session=True,
            )
        return Watch(self.root / "watch.log")

    def close(self) -> None:
        """End all hosts, and the bridge."""
        for host in list(self.hosts.values()):
            self.kill(host)
        for network in self._networks.values():
            os.close(network)
        self._bridge.kill()
        self._bridge.communicate()


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a command on a host: the process that entered the host, and what it runs there."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _first_process(prefix: list[str], *words: str) -> tuple[subprocess.Popen[str], int]:
    """Start the first process of new namespaces; return it, and its number here."""
    command = [*prefix, sys.executable, "-SE", "-c", _INIT, *words]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != "up\n":
        raise RuntimeError(f"did not start: {shlex.join(command)}: {process.stderr.read()}")
    if "-f" not in prefix:
        return process, process.pid
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, int(children[0])


@contextmanager
def network(root: Path, env: Mapping[str, str]) -> Iterator[Hosts]:
    """Give a network without hosts, and end it with all that was added."""
    hosts = Hosts(root, env)
    try:
        yield hosts
    finally:
        hosts.close()
