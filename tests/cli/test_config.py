"""`hbpr config` as people run it: one clear error, exit code 2, no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from hbpr.cli.main import cli, run
from hbpr.settings import load_yaml

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def check(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = run(cli, ["config", "check", *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_ready_configs_are_right(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = check(capsys, path)
    assert (code, err) == (0, "")
    assert "ok, a study of" in out


def test_a_file_without_a_sweep_is_a_training_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("optimizer: {lr: 1e-3}\n")
    code, out, _ = check(capsys, path)
    assert code == 0
    assert "ok, one training run on movielens ml-100k" in out
    code, out, _ = check(capsys, path, "--set", "sweep.space.model.n_latent=[8, 16]")
    assert code == 0
    assert "ok, a study of" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training:\n  n_itr: 5\n", "line 2, training.n_itr: unknown key. Did you mean n_iter?"),
        (
            "model: {kind: mf}\nmodel: {}\n",
            "line 2, model: the key is already given in line 1. Remove one of the two.",
        ),
        ("model: {n_latent: big}\n", "line 1, model.n_latent: must be a whole number, got 'big'"),
        (
            "training: {loss_function: bpr}\n",
            "line 1, training.loss_function: must be bpr_loss, bpr_loss_v2, ",
        ),
        (
            "sweep:\n  num_trials: 0\n  space: {model.n_latent: [8]}\n",
            "line 2, sweep.num_trials: must be greater than or equal to 1, got 0",
        ),
        (
            "sweep:\n  space:\n    optimizer.lr: {low: 0.3, high: 0.1}\n",
            "line 3, optimizer.lr: low must be below high",
        ),
        (
            "sweep:\n  space:\n    optimizer.lrr: [0.1]\n",
            "line 3, optimizer.lrr: no such setting. Did you mean optimizer.lr?",
        ),
        (
            "sweep:\n  metric: val/ndgc_at_7\n  space: {model.n_latent: [8]}\n",
            "line 2, sweep.metric: a metric is val/ or test/ followed by one of ndcg_at_K, "
            "precision_at_K, recall_at_K, hr_at_K, map_at_K, auc, mrr, got 'val/ndgc_at_7'. "
            "Did you mean val/ndcg_at_7?",
        ),
        (
            "sweep:\n  metric: test/auc\n  space: {model.n_latent: [8]}\n",
            "line 2, sweep.metric: must be a validation metric (val/...), got 'test/auc'",
        ),
        (
            "training: {monitor: recall}\nsweep: {space: {model.n_latent: [8]}}\n",
            "line 1, training.monitor: a metric is val/ or test/ followed by one of",
        ),
        (
            "sweep:\n  objectives: [{metric: val/auc}, {metric: item_vector_byte}]\n"
            "  space: {model.n_latent: [8]}\n",
            "line 2, sweep.objectives.1: a metric is val/ or test/ followed by one of ndcg_at_K, "
            "precision_at_K, recall_at_K, hr_at_K, map_at_K, coverage_at_K, novelty_at_K, "
            "diversity_at_K, arp_at_K, gini_at_K, auc, mrr, or item_vector_bytes "
            "or score_cpu_ms, got 'item_vector_byte'. Did you mean item_vector_bytes?",
        ),
    ],
)
def test_bad_files_are_exit_code_2_with_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    code, out, err = check(capsys, path)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {path}, {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.n_itr=5", "--set training.n_itr: unknown key. Did you mean n_iter?"),
        ("training.n_iter", "--set training.n_iter: must be KEY=VALUE, for example"),
        ("sweep.num_trial=5", "--set sweep.num_trial: unknown key. Did you mean num_trials?"),
    ],
)
def test_bad_overrides_are_exit_code_2(
    capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    code, _, err = check(capsys, ROOT / "configs" / "quickstart.yaml", "--set", override)
    assert code == 2
    assert err.startswith(f"error: {message}")


def test_a_missing_file_is_exit_code_2_without_a_traceback() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from hbpr.cli.main import main; main()",
            "config",
            "check",
            "no.yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no.yaml: no such file. With hbpr come coat, families, ")
    assert done.stderr.count("\n") == 1


def test_the_schema_accepts_what_the_loader_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "schema.json"
    assert run(cli, ["config", "schema", "-o", str(path)]) == 0
    assert run(cli, ["config", "schema"]) == 0
    schema = json.loads(path.read_text())
    assert json.loads(capsys.readouterr().out) == schema
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for config in CONFIGS:
        assert not list(validator.iter_errors(load_yaml(config).data))
    assert not list(validator.iter_errors({"sweep": {"model.n_latent": [8, 16]}}))
    for wrong in ({"modle": {}}, {"sweep": {"model": [8]}}, {"optimizer": {"lr": 0}}):
        assert list(validator.iter_errors(wrong))


def test_the_readme_shows_a_search_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]
    assert blocks
    for block in blocks:
        path = tmp_path / "readme.yaml"
        path.write_text(block)
        assert check(capsys, path)[0] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "training: {n_iter: 3}\nmodel: {kind: mf, hidden: [8]}\n",
            "x.yaml, line 2, model.hidden: kind mf has no such setting; it has n_latent, "
            "item_bias, init_std, similarity, temperature. hidden belongs to kind neumf",
        ),
        (
            "training:\n  negatives: {kind: uniform, observed: .3}\n",
            "x.yaml, line 2, training.negatives.observed: kind uniform has no such setting; it has "
            "per_positive, hardest_of, warp_draws. observed belongs to kind mixed",
        ),
    ],
)
@pytest.mark.parametrize("command", [["config", "check"], ["train"]])
def test_a_setting_of_another_kind_is_refused(
    command: list[str], text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "x.yaml").write_text(text)
    program = "from hbpr.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "x.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == f"error: {words}"


def test_the_schema_knows_the_settings_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["config", "schema"]) == 0
    checker = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    good = [{"n_latent": 8}, {"kind": "mf"}, {"kind": "neumf", "hidden": [8]}]
    bad = [{"hidden": [8]}, {"kind": "mf", "hidden": [8]}, {"kind": "tree"}]
    assert all(checker.is_valid({"model": each}) for each in good)
    assert not any(checker.is_valid({"model": each}) for each in bad)
