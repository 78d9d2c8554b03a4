"""The storage of a study for the process that runs it, and what others see of it."""

import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner

from hbpr.errors import ConfigError, StudyError, StudyFolderError
from hbpr.files import write_json
from tune.commands.study import study as command
from tune.settings import make_plan
from tune.storage import folder as folders
from tune.storage import lease as leases
from tune.storage.bring import at_hand
from tune.storage.kept import KeptInFolder, KeptInStore
from tune.storage.opened import opened
from tune.storage.resume import newest_unfinished, study_named, unfinished_like
from tune.tracking.recorder import MlflowRecorder

DATA = {"{}": "fingerprint"}
URL = "s3://shop/studies/small/one"


@pytest.fixture
def plan(store, small_study, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(leases, "RENEW_S", 0.2)
    return make_plan(small_study({"storage": "s3://shop/studies"}))


def begin(plan, study_id: str = "one") -> None:
    with opened(plan, study_id=study_id) as storage:
        folders.create(plan.settings, DATA, folder=storage.folder)


def test_a_folder_is_what_it_is(small_study, tmp_path) -> None:
    plan = make_plan(small_study())
    with opened(plan, study_id="one") as storage:
        assert storage.folder.path == tmp_path / "studies" / "small" / "one"
        assert isinstance(storage.kept, KeptInFolder)
        assert (storage.mirror, storage.lost(), storage.shared) == (None, None, True)
    with (
        pytest.raises(ConfigError, match=r"sweep\.storage is .*, another place"),
        opened(plan, URL),
    ):
        pass


def test_a_study_that_begins_ends_and_goes_on(plan, store, tmp_path) -> None:
    with opened(plan, study_id="one") as storage:
        folder = storage.folder
        assert folder.told == URL
        assert isinstance(storage.kept, KeptInStore)
        assert pickle.loads(pickle.dumps(storage.lost))() is None  # noqa: S301  # Tune packs it
        folders.create(plan.settings, DATA, folder=folder)
        (folder.path / "journal.log").write_bytes(b"")
    assert not folder.path.exists(), "it is in the store"
    with opened(plan, URL) as storage:
        assert storage.resumed
        assert folders.read_settings(storage.folder.path) == (plan.settings, DATA)
        storage.kept.save(7, 2, lambda path: (path / "x").write_text("x"))
        write_json(storage.folder.summary, {})
    assert any(key.endswith("/summary.json") for key in store.objects("studies"))
    assert not [key for key in store.objects("studies") if "/epoch-" in key], (
        "it has come to its end"
    )


def test_a_study_that_never_began_leaves_nothing(plan, store) -> None:
    with pytest.raises(RuntimeError), opened(plan, study_id="one"):
        raise RuntimeError
    assert [key for key in store.objects("studies") if key[-1] != "/"] == [
        "studies/small/one/lease.json"
    ]
    with pytest.raises(StudyFolderError, match="there is no study"), at_hand(URL):
        pass
    begin(plan)


def test_a_second_driver(plan) -> None:
    with opened(plan, study_id="one") as storage:
        folders.create(plan.settings, DATA, folder=storage.folder)
        storage.flush()
        with pytest.raises(StudyError, match="another driver runs it"), opened(plan, URL):
            pass
        assert storage.folder.settings.exists(), "the second one touched nothing"


def test_a_study_is_found_by_experiment_and_name(plan) -> None:
    with pytest.raises(StudyFolderError, match="in s3://shop/studies/small; leave --resume out"):
        newest_unfinished(plan.settings)
    assert unfinished_like(plan.settings) is None
    begin(plan)
    assert newest_unfinished(plan.settings).told == URL
    found = unfinished_like(plan.settings)
    assert found is not None
    assert found.told == URL
    with study_named(plan.settings, "one") as one, study_named(plan.settings, "two") as two:
        assert one is not None
        assert (one.told, one.finished) == (URL, False)
        assert two is None
    begin(plan, "two")
    with pytest.raises(StudyFolderError, match=r"2 unfinished studies[\s\S]*studies/small/two"):
        unfinished_like(plan.settings)


def test_commands_take_its_url(plan) -> None:
    begin(plan)
    said = CliRunner().invoke(command, ["list", "--storage", "s3://shop/studies"])
    assert said.exit_code == 0, said.output
    assert "unfinished" in said.output
    said = CliRunner().invoke(command, ["show", URL])
    assert "study one: unfinished, trials: 0 of 4" in said.output
    assert f"hbpr study resume {URL}" in said.output
    said = CliRunner().invoke(command, ["show", "s3://shop/studies/small/two"])
    assert isinstance(said.exception, StudyFolderError)


@pytest.mark.parametrize(
    ("resume", "said"),
    [
        ("s3://shop/elsewhere/small/one", "name another"),
        ("studies/small/one", "name the study by its URL, s3://shop/studies/small/STUDY"),
    ],
)
def test_a_study_elsewhere(plan, resume: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said), opened(plan, resume):
        pass


def test_a_bucket_that_does_not_exist(plan, small_study) -> None:
    other = make_plan(small_study({"storage": "s3://nobody/studies"}))
    with (
        pytest.raises(ConfigError, match=r"sweep\.storage: s3://nobody/.*there is no such bucket"),
        opened(other),
    ):
        pass


def test_the_working_folder_is_nobody_elses(plan, tmp_path: Path) -> None:
    begin(plan)
    (above,) = (tmp_path / "t").glob("hbpr-studies-*")
    assert above.stat().st_mode & 0o077 == 0


def recorder_of(storage, tracking_uri: str) -> MlflowRecorder:
    assert storage.mirror is not None
    return MlflowRecorder(
        storage.folder.path,
        tracking_uri=tracking_uri,
        experiment_name="small",
        study_id="one",
        settings={},
        kept=storage.mirror.recorded,
        address=storage.folder.told,
    )


def test_mlflow_is_sent_what_the_store_has(plan, tracking_uri) -> None:
    with opened(plan, study_id="one") as storage:
        folders.create(plan.settings, DATA, folder=storage.folder)
        recorder = recorder_of(storage, tracking_uri)
        recorder.open()
        recorder.start_trial(0, {"model.n_latent": 4})
        recorder.report(0, 2, {"val/ndcg_at_10": 0.5})
        recorder.end_trial(0, "FINISHED")
        assert recorder.finish("FINISHED"), "the mirror lets it through in time"
        assert recorder.run_ids.keys() == {0}
    with at_hand(URL) as study, opened(plan, URL) as storage:
        assert study.settings.exists()
        events = (storage.folder.outbox / "events.jsonl").read_text().splitlines()
        assert len(events) == 5
        sent = int((storage.folder.outbox / "sent").read_text())
        assert sent == (storage.folder.outbox / "events.jsonl").stat().st_size


def test_records_that_wait_in_the_store_are_sent_by_its_url(plan, tracking_uri, caplog) -> None:
    with opened(plan, study_id="one") as storage:
        folders.create(plan.settings, DATA, folder=storage.folder)
        recorder = recorder_of(storage, "http://127.0.0.1:1")
        recorder.open()
        recorder.start_trial(0, {"model.n_latent": 4})
        assert not recorder.finish("KILLED", timeout_s=0.1)
        assert f"hbpr study sync {URL}" in caplog.text
    said = CliRunner().invoke(command, ["sync", URL, "--tracking-uri", tracking_uri])
    assert said.exit_code == 0, said.output
    assert "4 records were sent" in said.output
    said = CliRunner().invoke(command, ["sync", URL, "--tracking-uri", tracking_uri])
    assert "0 records were sent" in said.output
