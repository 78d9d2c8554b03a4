"""Checked settings: every problem says where it is, the rule, the value and the nearest key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.errors import ConfigError
from hbpr.settings import (
    Document,
    TrialSettings,
    apply_overrides,
    load_trial,
    mask_secrets,
    resolve_paths,
    validate,
    with_values,
)
from hbpr.settings.models import MfSettings, MixedNegatives, PopularityNegatives
from hbpr.settings.problems import known_keys


def load(tmp_path: Path, text: str, *overrides: str) -> TrialSettings:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return load_trial(path, overrides)


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    return [
        line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines() if line.strip()
    ]


def test_an_empty_mapping_gives_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "{}") == resolve_paths(TrialSettings())


def test_values_and_lists_arrive(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "optimizer: {lr: 1e-3}\ntraining:\n  top_k: [5, 10]\nsweep: {model.n_latent: [8]}\n",
    )
    assert loaded.optimizer.lr == 0.001
    assert loaded.training.top_k == (5, 10)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "training:\n  n_itr: 5\n",
            "x.yaml, line 2, training.n_itr: unknown key. Did you mean n_iter?",
        ),
        (
            "modle: {}\n",
            "x.yaml, line 1, modle: unknown key. Did you mean model?",
        ),
        (
            "model:\n  learning_rate: 5\nlr: 1\n",
            "x.yaml, line 3, lr: unknown key. Did you mean optimizer.lr?",
        ),
        (
            "model: {qqq: 1}\n",
            "x.yaml, line 1, model.qqq: kind mf has no such setting; "
            "it has n_latent, item_bias, init_std, similarity, temperature",
        ),
        (
            "optimizer: {qqq: 1}\n",
            "x.yaml, line 1, optimizer.qqq: unknown key. Known keys here: name, lr, reg_user, "
            "reg_positive, reg_negative, reg_bias, schedule, decay.",
        ),
        (
            "model:\n  kind: mf\n  hidden: [8]\n",
            "x.yaml, line 3, model.hidden: kind mf has no such setting; it has n_latent, "
            "item_bias, init_std, similarity, temperature. hidden belongs to kind neumf",
        ),
        (
            "training:\n  negatives:\n    kind: uniform\n    observed: .3\n",
            "x.yaml, line 4, training.negatives.observed: kind uniform has no such setting; it has "
            "per_positive, hardest_of, warp_draws. observed belongs to kind mixed",
        ),
        (
            "training: {negatives: {kind: unifrom}}\n",
            "x.yaml, line 1, training.negatives.kind: must be uniform, popularity, observed, "
            "mixed, adaptive, all, shared or auto, got 'unifrom'. Did you mean uniform?",
        ),
        (
            "optimizer:\n  lr: -1\n",
            "x.yaml, line 2, optimizer.lr: must be greater than 0, got -1",
        ),
        (
            "optimizer: {lr: fast}\n",
            "x.yaml, line 1, optimizer.lr: must be a number, got 'fast'",
        ),
        (
            "model: {n_latent: 2.5}\n",
            "x.yaml, line 1, model.n_latent: must be a whole number, got 2.5",
        ),
        (
            "model: {n_latent: true}\n",
            "x.yaml, line 1, model.n_latent: must be a whole number, got True",
        ),
        (
            "model: {n_latent: '64'}\n",
            "x.yaml, line 1, model.n_latent: must be a whole number, got '64'",
        ),
        (
            "model: {item_bias: 1}\n",
            "x.yaml, line 1, model.item_bias: must be true or false, got 1",
        ),
        (
            "data: {name: 100}\n",
            "x.yaml, line 1, data.name: must be text, got 100. Quote it.",
        ),
        (
            "optimizer: {lr: .nan}\n",
            "x.yaml, line 1, optimizer.lr: must be a finite number, got nan",
        ),
        (
            "training: {top_k: ten}\n",
            "x.yaml, line 1, training.top_k: must be a list, got 'ten'",
        ),
        (
            "training:\n  top_k:\n  - 10\n  - 0\n",
            "x.yaml, line 4, training.top_k.1: must be greater than or equal to 1, got 0",
        ),
        (
            "model:\n",
            "x.yaml, line 1, model: must be a section of `key: value` lines, got nothing",
        ),
        (
            "mlflow: {experiment_name: ''}\n",
            "x.yaml, line 1, mlflow.experiment_name: must not be empty, got ''",
        ),
        (
            "training: {monitor: val/ndcg_at_5}\n",
            "x.yaml, line 1, training: monitor 'val/ndcg_at_5' needs 5 in training.top_k, "
            "got [10, 20]",
        ),
    ],
)
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in problems(tmp_path, text)


def test_an_unknown_loss_lists_the_known_ones_and_the_nearest(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "training:\n  loss_function: bpr_los\n")
    assert problem.startswith("x.yaml, line 2, training.loss_function: must be bpr_loss, ")
    assert problem.endswith("got 'bpr_los'. Did you mean bpr_loss?")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "model: {n_latent: 0}\noptimizer: {lrr: 1}\ntrainig: {}\n")
    assert len(found) == 3


def test_long_values_are_cut(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, f"training: {{engine: {'x' * 500}}}\n")
    assert len(problem) < 200


def test_passwords_are_never_shown(tmp_path: Path) -> None:
    found = problems(tmp_path, "mlflow: {experiment_name: [http://ann:pa@55@host/x]}\n")
    assert found == [
        "x.yaml, line 1, mlflow.experiment_name: must be text, got ['http://***@host/x']"
    ]
    found = problems(tmp_path, "{}", "http://ann:pa55@host")
    assert "pa55" not in found[0]
    uri = "mlflow: {tracking_uri: 'http://ann:pa55@host'}\n"
    assert "pa55" not in problems(tmp_path, uri, "mlflow.tracking_uri.x=1")[0]
    assert mask_secrets("no address, me@example.org") == "no address, me@example.org"


def test_overrides_win_and_are_read_as_yaml(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "training: {n_iter: 9}\n",
        "training.n_iter=3",
        "training.n_iter=4",
        "optimizer.lr=1e-3",
        "training.top_k=[10, 50]",
        "mlflow.tracking_uri=http://host?a=b",
    )
    assert loaded.training.n_iter == 4
    assert loaded.optimizer.lr == 0.001
    assert loaded.training.top_k == (10, 50)
    assert loaded.mlflow.tracking_uri == "http://host?a=b"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training.n_itr=3", "--set training.n_itr: unknown key. Did you mean n_iter?"),
        ("training.n_iter", "--set training.n_iter: must be KEY=VALUE"),
        ("=3", "--set =3: must be KEY=VALUE"),
        ("training.n_iter=0", "--set training.n_iter: must be greater than or equal to 1, got 0"),
        ("training.n_iter=", "--set training.n_iter: must be a whole number, got nothing"),
        ("training.n_iter=[1", "--set training.n_iter, line 1: not valid YAML"),
        ("model.kind.x=1", "--set model.kind.x: model.kind is a value, not a section, got 'mf'"),
        ("sweep.num_trials=3", "--set sweep.num_trials: unknown key"),
        (
            "training.top_k=[5]",
            "--set training.top_k: monitor 'val/ndcg_at_10' needs 10 in training.top_k, got [5]",
        ),
    ],
)
def test_a_wrong_override_names_itself(tmp_path: Path, override: str, problem: str) -> None:
    assert problems(tmp_path, "model: {kind: mf}\n", override)[0].startswith(problem)


def test_a_section_that_an_override_breaks_names_both(tmp_path: Path) -> None:
    text = "training:\n  monitor: val/ndcg_at_20\n"
    [problem] = problems(tmp_path, text, "training.top_k=[5]")
    assert problem.startswith("x.yaml, line 1, training (with --set training.top_k): monitor 'val/")


def test_overrides_leave_the_document_alone() -> None:
    data = {"a": {"b": 1}}
    assert apply_overrides(data, ["a.b=2", "c=3"], TrialSettings) == {"a": {"b": 2}, "c": 3}
    assert data == {"a": {"b": 1}}


def test_overrides_reach_into_a_search_space() -> None:
    data = {"sweep": {"space": {"optimizer.lr": {"low": 0.1, "high": 1.0}}}}
    changed = apply_overrides(
        data,
        ["sweep.space.optimizer.lr.low=0.01", "sweep.space.model.n_latent=[8, 16]"],
        TrialSettings,
    )
    assert changed["sweep"]["space"] == {
        "optimizer.lr": {"low": 0.01, "high": 1.0},
        "model.n_latent": [8, 16],
    }
    assert apply_overrides({}, ["sweep.space.model.n_latent=[8]"], TrialSettings) == {
        "sweep": {"space": {"model.n_latent": [8]}}
    }
    short = apply_overrides(
        {"sweep": {"model.n_latent": [8]}}, ["sweep.optimizer.lr=[0.1]"], TrialSettings
    )
    assert short == {"sweep": {"model.n_latent": [8], "optimizer.lr": [0.1]}}


def test_with_values_replaces_and_checks() -> None:
    base = TrialSettings()
    changed = with_values(base, {"optimizer.lr": 0.2, "model.n_latent": 8, "training.top_k": [10]})
    assert (changed.optimizer.lr, changed.model.n_latent) == (0.2, 8)
    assert changed.training.top_k == (10,)
    assert base == TrialSettings()
    with pytest.raises(ConfigError, match=r"^optimizer\.lr: must be greater than 0, got -1$"):
        with_values(base, {"optimizer.lr": -1})
    with pytest.raises(
        ConfigError, match=r"^optimizer\.reg_usr: unknown key\. Did you mean reg_user\?$"
    ):
        with_values(base, {"optimizer.reg_usr": 1})


@given(st.dictionaries(st.sampled_from(known_keys(TrialSettings)), st.integers() | st.text()))
def test_wrong_values_are_always_config_errors(values: dict[str, object]) -> None:
    try:
        with_values(TrialSettings(), values)
    except ConfigError as error:
        assert str(error).strip()  # noqa: PT017 - any other exception fails the test


def test_a_plain_dict_is_a_document() -> None:
    document = Document({"model": {"n_laten": 1}}, Path("config"), {})
    with pytest.raises(ConfigError, match=r"^config, model\.n_laten: unknown key\. Did you mean"):
        validate(TrialSettings, document)


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        ("sqlite:///mlflow.db", "sqlite:////here/mlflow.db"),
        ("sqlite:///a/../m.db", "sqlite:////here/a/../m.db"),
        ("sqlite:////abs/mlflow.db", "sqlite:////abs/mlflow.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_a_relative_tracking_file_is_made_absolute(uri: str, resolved: str) -> None:
    trial = with_values(TrialSettings(), {"mlflow.tracking_uri": uri})
    assert resolve_paths(trial, Path("/here")).mlflow.tracking_uri == resolved


class TestAnotherKind:
    """What happens to fields of the old kind where another one is chosen."""

    BASE = TrialSettings.model_validate(
        {"training": {"negatives": {"kind": "mixed", "observed": 0.3, "per_positive": 4}}}
    )

    def test_a_trial_drops_the_fields_that_the_new_kind_lacks(self) -> None:
        changed = with_values(self.BASE, {"training.negatives.kind": "popularity"})
        assert changed.training.negatives == PopularityNegatives(per_positive=4)
        assert self.BASE.training.negatives == MixedNegatives(observed=0.3, per_positive=4)
        section = {"training": {"negatives": {"kind": "uniform"}}}
        assert with_values(self.BASE, section).training.negatives.per_positive == 4
        assert with_values(changed, {"training.negatives.kind": "mixed"}) == with_values(
            self.BASE, {"training.negatives.observed": 0.5}
        )

    def test_fields_that_are_given_with_the_new_kind_must_be_its_own(self) -> None:
        values = {"training.negatives.kind": "uniform", "training.negatives.observed": 0.2}
        for ordered in (values, dict(reversed(values.items()))):
            with pytest.raises(ConfigError, match="observed: kind uniform has no such setting"):
                with_values(self.BASE, ordered)

    def test_an_override_drops_them_too(self, tmp_path: Path) -> None:
        path = tmp_path / "x.yaml"
        path.write_text("model: {kind: neumf, hidden: [8], n_latent: 4}\n")
        assert load_trial(path, ["model.kind=mf"]).model == MfSettings(n_latent=4)
        with pytest.raises(ConfigError, match=r"^--set model\.hidden: kind mf has no such setting"):
            load_trial(path, ["model.hidden=[4]", "model.kind=mf"])

    def test_what_the_old_kind_lacked_as_well_stays_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.yaml"
        path.write_text("training:\n  negatives:\n    kind: uniform\n    observed: .3\n")
        with pytest.raises(ConfigError, match=r"line 4, .*kind popularity has no such setting"):
            load_trial(path, ["training.negatives.kind=popularity"])
