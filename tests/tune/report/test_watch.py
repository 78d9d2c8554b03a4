"""A study that another process runs, seen from its folder alone."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from hbpr.cli.main import cli, run
from hbpr.tracking.about import About
from tune.report import sight as sights
from tune.report import watch as module
from tune.report.sight import Observer
from tune.report.watch import picture, watch
from tune.search.searcher import OptunaSearcher
from tune.settings import make_plan
from tune.storage import folder as folders
from tune.storage.folder import StudyFolder
from tune.tracking.callback import RecordTrials
from tune.tracking.recorder import MlflowRecorder
from tune.trial.messages import evaluated

METRIC = "val/ndcg_at_10"
ABOUT = About(
    {"hbpr.data": "films", "hbpr.n_users": "80", "hbpr.n_items": "1500"},
    {"name": "films", "digest": "d", "source_type": "hbpr", "source": "{}"},
)


class Driver:
    """Runs a study without Ray: what the driver writes of its trials."""

    def __init__(self, settings, uri: str, folder: StudyFolder | None = None) -> None:
        plan = make_plan(settings)
        self.folder = folder or folders.create(settings, {"{}": "fingerprint"})
        self.searcher = OptunaSearcher(
            plan.space, self.folder.path, goals=plan.goals, num_trials=plan.n_trials
        )
        self.recorder = MlflowRecorder(
            self.folder.path,
            tracking_uri=uri,
            experiment_name="films",
            study_id=self.folder.study_id,
            settings=settings.model_dump(mode="json"),
        )
        self.recorder.open(about=ABOUT)
        self.callback = RecordTrials(self.recorder)

    def start(self, node: str = "node-1") -> SimpleNamespace:
        name = f"t{time.monotonic_ns()}"
        trial = SimpleNamespace(
            trial_id=name,
            config=self.searcher.suggest(name),
            status="RUNNING",
            last_result={},
            error_file=None,
            node=node,
        )
        self.callback.on_trial_start(0, [], trial)
        return trial

    def report(self, trial, epoch: int, value: float, *, finished: bool = False) -> None:
        result = evaluated({METRIC: value}, epoch, (value, epoch), finished=finished, train_s=0.5)
        trial.last_result = result | {"hostname": trial.node}
        self.callback.on_trial_result(0, [], trial, trial.last_result)
        if not finished:
            self.searcher.on_trial_result(trial.trial_id, trial.last_result)

    def end(self, trial) -> None:
        self.searcher.on_trial_complete(trial.trial_id, trial.last_result)
        self.callback.on_trial_complete(0, [], trial)


@pytest.fixture
def driver(small_study, tracking_uri: str) -> Iterator[Driver]:
    driver = Driver(small_study(), tracking_uri)
    yield driver
    driver.recorder.finish()


def console(width: int = 90, *, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def seen(observer: Observer, width: int = 90) -> str:
    out = console(width)
    out.print(picture(observer, observer.look(), out))
    return out.file.getvalue()


def test_long_settings_give_way_to_the_other_columns(driver: Driver, monkeypatch) -> None:
    driver.report(driver.start(), 2, 0.25)
    monkeypatch.setattr(module, "as_words", lambda values: "model.n_latent=16, " * 9)
    lines = [line.split() for line in seen(Observer(driver.folder), width=80).splitlines()]
    assert ["trial", "epoch", "last", "best", "node", "settings"] in lines
    (row,) = [line for line in lines if line[:1] == ["0"] and len(line) > 5]
    assert row[1:5] == ["2/4", "0.2500", "0.2500", "node-1"]
    assert row[-1].endswith("…")


def test_a_study_is_seen_as_it_goes_on(driver: Driver) -> None:
    observer = Observer(driver.folder)
    before = seen(observer)
    assert "of experiment small: running" in before
    assert "data films: 80 users, 1,500 items" in before
    assert "0/4 trials: 0 finished, 0 stopped, 0 failed, 0 running; waiting" in before
    first, second = driver.start(), driver.start("node-2")
    driver.report(first, 2, 0.25)
    driver.report(second, 2, 0.125)
    sight = observer.look()
    assert [trial.number for trial in sight.running] == [0, 1]
    assert sight.nodes == {0: "node-1", 1: "node-2"}
    assert sight.left_s is None
    said = seen(observer)
    assert f"best {METRIC} 0.2500: trial 0, epoch 2; model.n_latent=" in said
    assert "nodes: node-1 1 running, 0 ended; node-2 1 running, 0 ended" in said
    rows = [line.split()[:5] for line in said.splitlines()]
    assert ["1", "2/4", "0.1250", "0.1250", "node-2"] in rows
    assert f"{METRIC}: the best, running, others" in said
    assert "epoch 2" in said
    time.sleep(0.01)
    driver.report(second, 4, 0.5, finished=True)
    driver.end(second)
    sight = observer.look()
    assert (sight.ended["COMPLETE"], len(sight.running)) == (1, 1)
    assert sight.best is not None
    assert sight.best.number == 1
    assert sight.left_s is not None
    assert sight.left_s > 0.0
    driver.end(first)
    assert observer.look().ended == {"COMPLETE": 1, "PRUNED": 1}


def test_many_trials_fit_on_a_small_screen(small_study, tracking_uri: str) -> None:
    driver = Driver(small_study(sweep={"num_trials": 12}), tracking_uri)
    for number in range(10):
        driver.report(driver.start(f"host-{number}"), 2, 0.1 * number)
    said = seen(Observer(driver.folder), width=60)
    assert max(map(len, said.splitlines())) <= 60
    assert "and 2 more that run" in said
    assert "and 4 more" in said, "of the nodes"
    driver.recorder.finish()


def test_it_waits_for_the_answer_and_ends_with_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REFRESH_S", 0.0)
    for _ in range(4):
        trial = driver.start()
        driver.report(trial, 4, 0.5, finished=True)
        driver.end(trial)
    observer, out = Observer(driver.folder), console(terminal=False)
    look, looks = observer.look, []

    def count() -> object:
        looks.append(1)
        if len(looks) == 3:
            driver.folder.summary.write_text("{}")
        return look()

    monkeypatch.setattr(observer, "look", count)
    assert watch(observer, out).state == "finished"
    first, last = out.file.getvalue().splitlines()
    assert "4/4 trials: 4 finished, 0 stopped, 0 failed, 0 running; the winner is worked" in first
    assert "worked out" not in last


def test_a_resumed_study_has_the_time_of_all_sittings(
    small_study, driver: Driver, tracking_uri: str
) -> None:
    trial = driver.start()
    driver.report(trial, 2, 0.5)
    time.sleep(0.05)
    driver.recorder.finish("KILLED")
    again = Driver(small_study(), tracking_uri, driver.folder)
    trial = again.start()
    again.report(trial, 4, 0.6, finished=True)
    again.end(trial)
    sight = Observer(driver.folder).look()
    assert sight.before_s >= 0.05
    assert (sight.ended.total(), len(sight.trials)) == (1, 1)
    assert "over all sittings" in seen(Observer(driver.folder))
    again.recorder.finish()


def test_a_terminal_gets_a_live_picture_until_ctrl_c(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    driver.report(driver.start(), 2, 0.25)
    monkeypatch.setattr(module.time, "sleep", interrupt)
    assert run(cli, ["watch", str(driver.folder.path)]) == 0
    said = capsys.readouterr()
    assert "0/4 trials" in said.out
    assert said.err == ""


def test_the_command_on_studies_that_nobody_runs(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    monkeypatch.setattr(sights, "_SETTLES_S", 0.0)
    driver.recorder.finish("KILLED")
    experiment = driver.folder.path.parent
    assert run(cli, ["watch", str(experiment)]) == 0
    assert f"Go on with it: hbpr study resume {driver.folder.path}" in capsys.readouterr().out
    driver.folder.summary.write_text("{}")
    driver.folder.text.write_text("the summary\n")
    assert run(cli, ["watch", str(driver.folder.path)]) == 0
    assert capsys.readouterr().out.endswith("the summary\n")
    assert run(cli, ["watch", str(tmp_path / "nowhere")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_a_line_that_is_half_written_is_read_when_it_is_whole(driver: Driver) -> None:
    observer = Observer(driver.folder)
    driver.report(driver.start(), 2, 0.25)
    events = driver.folder.path / "outbox" / "events.jsonl"
    whole = events.read_bytes()
    events.write_bytes(whole[:-7])
    assert observer.look().nodes == {}
    events.write_bytes(whole)
    assert observer.look().nodes == {0: "node-1"}
