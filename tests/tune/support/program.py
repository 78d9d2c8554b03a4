"""Programs as in a terminal: processes of their own, waited for with patience."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

#: Seconds to wait for what takes a few: a machine that is shared may be twenty times slower.
PATIENCE_S = 240.0


class Program:
    """`hbpr` and `python -m tune` as in a terminal: processes of their own, in a folder."""

    HBPR = ("-c", "from hbpr.cli.main import main; main()")
    TUNE = ("-m", "tune")

    def start(
        self, folder: Path, *words: str, program: tuple[str, str] = HBPR
    ) -> "subprocess.Popen[str]":
        """Start it as the leader of a process group, as a terminal does."""
        return subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
        """Wait for its end; return what it said on stdout and on stderr."""
        with process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, out + err
        assert "Traceback" not in out + err
        return out, err

    def run(
        self, folder: Path, *words: str, code: int = 0, program: tuple[str, str] = HBPR
    ) -> tuple[str, str]:
        """Start it and wait for its end."""
        return self.end(self.start(folder, *words, program=program), code)

    def wait_until(self, ready: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
        """Look again and again until something is so, while the process runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            if process.poll() is not None:
                pytest.fail("it ended by itself:\n" + "".join(process.communicate()))
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                pytest.fail("it did not come so far:\n" + "".join(process.communicate()))
            time.sleep(0.02)
