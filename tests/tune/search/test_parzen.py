import numpy as np
import optuna
import pytest
from scipy import integrate

from hbpr.settings.models import TrialSettings
from tune.search import parzen
from tune.search.parzen import Parzen
from tune.space import Space
from tune.space.check import check_space

RAW = {
    "training.loss_function": ["bpr_loss", "hinge_loss", "softmax_loss"],
    "training.negatives.per_positive": {
        "choices": [4, 8, 16],
        "when": {"training.loss_function": "softmax_loss"},
    },
    "optimizer.lr": {"low": 1e-3, "high": 1.0, "log": True},
    "optimizer.reg_user": {"low": 0.0, "high": 1.0},
}


def space_of(raw=RAW, constraints=()):
    return check_space(Space.parse(raw, constraints), TrialSettings())


def study_of(space, trials, direction="maximize"):
    """A study that ended trials of (values, value, state); value None: still running."""
    study = optuna.create_study(direction=direction)
    distributions = {d.key: d.domain.distribution() for d in space.dimensions}
    for values, value, state in trials:
        params = space.encode(values)
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value if state == optuna.trial.TrialState.COMPLETE else None,
                intermediate_values={} if value is None else {10: value},
                params=params,
                distributions={key: distributions[key] for key in params},
            )
        )
    return study


COMPLETE, PRUNED, FAIL, RUNNING = (
    getattr(optuna.trial.TrialState, name) for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)


def points(space, count, seed=0):
    generator = np.random.default_rng(seed)
    return [space.at(generator.random(len(space.dimensions))) for _ in range(count)]


def quality(values):
    good = {"bpr_loss": 0.0, "hinge_loss": 0.1, "softmax_loss": 0.3}
    return good[values["training.loss_function"]] - (np.log10(values["optimizer.lr"]) + 1) ** 2 / 4


def draws(space, study, count=60, number=0):
    drawing = Parzen(space, n_startup=5)
    generator = np.random.default_rng(3)
    return [drawing.draw(study, number, generator) for _ in range(count)]


def share_of(drawn, key, value):
    return np.mean([values.get(key) == value for values in drawn])


class TestDraws:
    def test_where_it_was_good_it_draws_more(self):
        space = space_of()
        known = [(v, quality(v), COMPLETE) for v in points(space, 60)]
        drawn = draws(space, study_of(space, known))
        assert share_of(drawn, "training.loss_function", "softmax_loss") > 0.6
        assert np.median([abs(np.log10(v["optimizer.lr"]) + 1) for v in drawn]) < 0.5
        assert np.mean([quality(v) for v in drawn]) > np.mean([x[1] for x in known]) + 0.2

    def test_low_is_good_where_a_study_minimises(self):
        space = space_of()
        known = [(v, -quality(v), COMPLETE) for v in points(space, 60)]
        drawn = draws(space, study_of(space, known, "minimize"))
        assert share_of(drawn, "training.loss_function", "softmax_loss") > 0.6

    def test_stopped_and_finished_trials_are_ranked_together(self):
        space = space_of()
        known = [(v, quality(v), PRUNED) for v in points(space, 60)]
        finished = [(v, quality(v) - 5, COMPLETE) for v in points(space, 12, seed=1)]
        drawn = draws(space, study_of(space, known + finished))
        assert share_of(drawn, "training.loss_function", "softmax_loss") > 0.6

    def test_trials_that_failed_or_run_are_avoided(self):
        space = space_of({"optimizer.reg_user": {"low": 0.0, "high": 1.0}})
        known = [(v, 0.5, COMPLETE) for v in points(space, 10)]
        here = {"optimizer.reg_user": 0.2}
        for crowd in ([(here, None, FAIL)] * 40, [(here, None, RUNNING)] * 40):
            drawn = draws(space, study_of(space, known + crowd))
            assert np.mean([v["optimizer.reg_user"] < 0.4 for v in drawn]) < 0.1

    def test_every_third_draw_is_random(self):
        space = space_of()
        known = [(v, quality(v), COMPLETE) for v in points(space, 60)]
        drawn = draws(space, study_of(space, known), count=200, number=2)
        assert 0.2 < share_of(drawn, "training.loss_function", "bpr_loss") < 0.5

    def test_conditions_and_constraints_hold(self):
        space = space_of(constraints=["optimizer.reg_user <= optimizer.lr"])
        known = [(v, quality(v), COMPLETE) for v in points(space, 60) if space.allows(v)]
        drawn = draws(space, study_of(space, known))
        for values in drawn:
            assert space.active(values) == values
            conditional = "training.negatives.per_positive" in values
            assert conditional == (values["training.loss_function"] == "softmax_loss")
        assert np.mean([space.allows(v) for v in drawn]) == 1.0

    def test_a_condition_on_a_range(self):
        raw = {
            "model.n_latent": {"low": 8, "high": 10},
            "optimizer.lr": {"low": 0.1, "high": 1.0, "when": {"model.n_latent": [9, 10]}},
        }
        space = space_of(raw)
        known = [(v, v.get("optimizer.lr", 0.0), COMPLETE) for v in points(space, 40)]
        drawn = draws(space, study_of(space, known))
        assert np.mean([v.get("optimizer.lr", 0.0) for v in drawn]) > 0.6
        assert all(("optimizer.lr" in v) == (v["model.n_latent"] > 8) for v in drawn)

    def test_a_trial_is_read_once(self, monkeypatch):
        space = space_of()
        study = study_of(space, [(v, quality(v), COMPLETE) for v in points(space, 30)])
        drawing, read = Parzen(space, n_startup=5), []
        row = Parzen._row
        monkeypatch.setattr(Parzen, "_row", lambda self, t: read.append(t.number) or row(self, t))
        for _ in range(3):
            drawing.draw(study, 0, np.random.default_rng(0))
        assert read == list(range(30))

    def test_no_more_is_compared_than_the_cap(self, monkeypatch):
        sizes = []
        density = Parzen._log_density

        def note(self, rows, seen, width):
            sizes.append(len(seen))
            return density(self, rows, seen, width)

        monkeypatch.setattr(Parzen, "_log_density", note)
        space = space_of({"optimizer.reg_user": {"low": 0.0, "high": 1.0}})
        known = [(v, 0.5, COMPLETE) for v in points(space, 600)]
        draws(space, study_of(space, known), count=1)
        assert sizes == [parzen._MOST_GOOD, parzen._MOST_OTHERS]


class TestDensity:
    @pytest.mark.parametrize("n_seen", [1, 4])
    def test_it_integrates_to_one(self, n_seen):
        space = space_of()
        drawing = Parzen(space, n_startup=5)
        study = study_of(space, [(v, 0.1, COMPLETE) for v in points(space, n_seen)])
        seen = np.array([drawing._row(trial) for trial in study.trials])
        # loss (3 values), negatives a positive (0 to 1, only of the last loss), lr and reg (0 to 1)
        grid = np.linspace(0, 1, 41)
        total = 0.0
        for loss in range(3):
            shape = np.array(np.meshgrid(grid, grid, indexing="ij")).reshape(2, -1).T
            for negatives in [np.nan] if loss < 2 else [*grid]:
                rows = np.column_stack(
                    [np.full(len(shape), loss), np.full(len(shape), negatives), shape]
                )
                density = np.exp(drawing._log_density(rows, seen, 0.2)).reshape(41, 41)
                plane = integrate.simpson(integrate.simpson(density, x=grid), x=grid)
                share = 1.0 if loss < 2 else integrate_weight(negatives, grid)
                total += plane * share
        assert total == pytest.approx(1.0, abs=2e-3)


def integrate_weight(place, grid):
    """Simpson's weight of one place of a grid."""
    unit = np.zeros(len(grid))
    unit[np.argmin(abs(grid - place))] = 1.0
    return integrate.simpson(unit, x=grid)


def test_places_and_values_are_inverse():
    raw = {
        "model.n_latent": [8, 16, 64],
        "training.batch_size": {"low": 1, "high": 4096, "log": True},
        "training.n_iter": {"low": 5, "high": 45, "step": 10},
        "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
        "optimizer.reg_user": {"low": 0.0, "high": 0.5, "step": 0.1},
        "data.item_feature": ["indicator", "both"],
        "training.negatives": [{"kind": "uniform"}, {"kind": "mixed"}],
    }
    space = space_of(raw)
    drawing = Parzen(space, n_startup=5)
    for values in points(space, 200):
        (trial,) = study_of(space, [(values, 0.1, COMPLETE)]).trials
        row = drawing._row(trial)
        assert ((row >= 0) & (row <= 1)).all()
        again = drawing._point(row)
        assert again.pop("optimizer.lr") == pytest.approx(values["optimizer.lr"])
        assert again == {key: value for key, value in values.items() if key != "optimizer.lr"}


def test_the_order_in_which_trials_ended_changes_nothing():
    space = space_of()
    drawn = points(space, 60)
    given = [(values, round(quality(values), 1), COMPLETE) for values in drawn]
    study = study_of(space, given)
    trials = study.get_trials(deepcopy=False)
    live, resumed = Parzen(space, n_startup=5), Parzen(space, n_startup=5)
    for n_ended in range(0, 60, 7):  # the last of them ended first
        for trial in trials:
            trial.state = COMPLETE if trial.number >= 60 - n_ended else RUNNING
        live.draw(study, 60, np.random.default_rng(0))
    for trial in trials:
        trial.state = COMPLETE
    for seed in range(8):
        one, other = (each.draw(study, 60, np.random.default_rng(seed)) for each in (live, resumed))
        assert one == other


def test_a_trial_that_a_budget_ended_before_it_reported_says_nothing():
    space = space_of()
    given = [(values, quality(values), COMPLETE) for values in points(space, 30)]
    silent = [(values, None, PRUNED) for values in points(space, 30, seed=1)]
    one, other = (
        draws(space, study_of(space, trials), count=8) for trials in (given, given + silent)
    )
    assert one == other
