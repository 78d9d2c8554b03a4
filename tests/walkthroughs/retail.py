"""The whole path of a shop: table in, described, split, trained, looked at, lists in a file, HTTPS.

The steps are those of ``docs/guides/retail.md``, run by the commands that it names; the tables that
it prints are made here:

    HBPR_DATA_HOME=... python tests/walkthroughs/retail.py FOLDER [--once] [KEY=VALUE ...]

FOLDER receives the records, the model and the files. ``--once`` trains once instead of searching; a
KEY=VALUE goes to the command as --set.
"""

import json
import os
import re
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "online-retail.yaml"
CUSTOMERS = ("13085", "17519")
_MAIN = "if __name__ == '__main__':\n from hbpr.cli.main import main; main()"
_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem "
    "-out cert.pem -days 30 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
)
HBPR = [sys.executable, "-c", _MAIN]


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def hbpr(folder: Path, *words: str) -> str:
    """Run a command in the folder and return what it wrote."""
    done = subprocess.run(
        [*HBPR, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"hbpr {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout + done.stderr


def train(folder: Path, config: Path, settings: Sequence[str], *, search: bool) -> Path:
    """Search or train once; return the folder of the model."""
    chosen = [word for each in settings for word in ("--set", each)]
    if not search:
        say(hbpr(folder, "train", str(config), *chosen, "-o", "model"))
        return folder / "model"
    say(hbpr(folder, "tune", str(config), *chosen))
    (study,) = (folder / "studies").glob("*/*/model")
    return study.parent


def curve(folder: Path, metric: str) -> str:
    """The best run's validation curve, from MLflow."""
    from hbpr.tracking.store import open_client

    client = open_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    histories = [client.get_metric_history(run.info.run_id, metric) for run in runs]
    best = max(histories, key=lambda points: max((p.value for p in points), default=-1.0))
    return "\n".join(f"{point.step:>5}  {point.value:.4f}" for point in best)


def past_and_next(model_folder: Path, customer: str, n: int = 10) -> str:
    """What a customer bought beside what is recommended, by name."""
    from hbpr.inference import load

    model = load(model_folder)
    row = model.users.row(customer)
    if row is None:
        raise SystemExit(f"customer {customer} is not in the data")
    past = [model.called(item) for item in model.history(row)[:n]]
    listed = model.recommend([customer], k=n)["item_name"].tolist()
    width = max(map(len, past), default=0)
    lines = [f"{'bought':<{width}}   recommended"]
    for number in range(max(len(past), len(listed))):
        left = past[number] if number < len(past) else ""
        right = listed[number] if number < len(listed) else ""
        lines.append(f"{left:<{width}}   {right}".rstrip())
    return "\n".join(lines)


def over_https(folder: Path, model: Path, customers: Sequence[str]) -> list[dict[str, object]]:
    """Serve with a token and TLS, and ask for some customers."""
    subprocess.run(
        _CERTIFICATE.split(),
        cwd=folder,
        capture_output=True,
        check=True,
    )
    token = secrets.token_urlsafe(32)
    (folder / "token").write_text(token)
    command = [*HBPR, "serve", str(model), "--port", "0", "--token-file", "token"]
    command += ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            said = ""
            while not (found := re.search(r"https://\S+", said)):
                line = server.stderr.readline()
                if not line:
                    raise SystemExit(f"the server did not start:\n{said}")
                said += line
            body = json.dumps({"users": list(customers), "k": 10}).encode()
            request = urllib.request.Request(f"{found[0]}/recommend", body)
            request.add_header("Content-Type", "application/json")
            request.add_header("Authorization", f"Bearer {token}")
            trusted = ssl.create_default_context(cafile=str(folder / "cert.pem"))
            with urllib.request.urlopen(request, context=trusted, timeout=60) as answer:
                return json.load(answer)
        finally:
            server.send_signal(signal.SIGINT)


def walk(
    folder: Path,
    config: Path = CONFIG,
    customers: Sequence[str] = CUSTOMERS,
    settings: Sequence[str] = (),
    *,
    search: bool = True,
) -> list[dict[str, object]]:
    """Take all steps; return the last one's answer."""
    begin = time.monotonic()
    say(hbpr(folder, "data", "describe", str(config)))
    model = train(folder, config, settings, search=search)
    say("precision@10 on validation, by epoch:\n" + curve(folder, "val/precision_at_10"))
    for customer in customers:
        say(f"\ncustomer {customer}:\n{past_and_next(model, customer)}")
    say(hbpr(folder, "recommend", str(model), "-k", "20", "-o", "recs.csv"))
    say("".join((folder / "recs.csv").open().readlines()[:4]))
    answer = over_https(folder, model, customers)
    say(json.dumps(answer)[:300])
    say(f"all steps: {time.monotonic() - begin:.0f} s")
    return answer


if __name__ == "__main__":
    place = Path(sys.argv[1]).absolute()
    place.mkdir(parents=True, exist_ok=True)
    given = [word for word in sys.argv[2:] if word != "--once"]
    walk(place, settings=given, search="--once" not in sys.argv)
