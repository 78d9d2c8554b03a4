"""Rows whose protocol is more than training with seeds, on generated data."""

import pytest

from hbpr.reproductions import Figures, coat, cold_start, load_row, ml_100k_neumf, online_retail
from hbpr.reproductions.registry import load_settings
from hbpr.settings.load import with_values
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings

_SEEDS = (1, 2, 3)


def _tiny(name: str, **values: object) -> TrialSettings:
    """Return a row's settings on generated data, with few epochs."""
    settings = load_settings(name)
    data = DataSettings(
        source="synthetic",
        synthetic=SyntheticSettings(n_users=80, n_items=60, n_shown=20),
        candidates=settings.data.candidates,
    )
    few = {"training.n_iter": 2, "training.eval_every": 2}
    return with_values(settings.model_copy(update={"data": data}), {**few, **values})


def _by_label(figures: tuple[Figures, ...]) -> dict[str, Figures]:
    found = {each.label: each for each in figures}
    assert len(found) == len(figures)
    return found


def _measure(name: str, settings: TrialSettings, said: list[str]) -> dict[str, Figures]:
    return _by_label(load_row(name).measure(settings, _SEEDS, said.append))


def test_neumf_has_the_published_sizes_and_epochs() -> None:
    settings = load_settings("ml-100k-neumf")
    assert (settings.model.n_latent, settings.model.n_latent_mlp) == (10, 10)
    assert settings.model.hidden == (10, 10, 10)
    assert (settings.optimizer.name, settings.optimizer.lr) == ("adam", 0.01)
    assert (settings.training.n_iter, settings.training.early_stopping_patience) == (10, 0)
    assert load_settings("ml-100k-neumf-mf").data == settings.data


def test_neumf_stands_beside_factorization_and_baselines() -> None:
    said: list[str] = []
    found = _measure("ml-100k-neumf", _tiny("ml-100k-neumf", **{"training.batch_size": 4096}), said)
    assert list(found) == [ml_100k_neumf._NEUMF, ml_100k_neumf._MF, "EASE", "popularity"]
    assert found["EASE"].seeds == ()
    assert len(found[ml_100k_neumf._NEUMF].values["test/hr_at_50"]) == 3
    assert len({each.fingerprint for each in found.values()}) == 1


def test_coat_chooses_the_negatives_on_validation_and_shows_both_candidates() -> None:
    said: list[str] = []
    found = _measure("coat", _tiny("coat"), said)
    chosen = said[0].rpartition("chosen: ")[2]
    values = dict(
        part.split() for part in said[0].partition("splits: ")[2].partition(";")[0].split(", ")
    )
    assert chosen == max(values, key=lambda kind: float(values[kind]))
    assert found[coat._OURS].note.count(f"{chosen} negatives") == 1
    assert "to EASE (95 %)" in found[coat._OURS].note
    others = {f"BPR, {kind} negatives" for kind in coat._KINDS if kind != chosen}
    assert others < set(found)
    listed, whole = found[coat.EASE], found[f"{coat.EASE}; whole catalogue"]
    assert listed.candidates.startswith("listed items")
    assert whole.candidates.startswith("the whole catalogue")
    assert listed.fingerprint != whole.fingerprint


def test_retail_counts_who_is_left_out_and_bounds_the_metric() -> None:
    said: list[str] = []
    found = _measure("online-retail", _tiny("online-retail"), said)
    label = f"{online_retail._OURS}, {online_retail._AMONG_CANCELLED}"
    assert " left out who cancelled nothing in test" in found[label].note
    assert "left out" not in found[online_retail._OURS].note
    assert "to EASE (95 %)" in found[online_retail._OURS].note
    metric = "test/precision_at_10"
    for place in ("", f", {online_retail._AMONG_CANCELLED}"):
        best = found[f"{online_retail._PERFECT}{place}"].mean(metric)
        assert all(
            best >= found[f"{each}{place}"].mean(metric)
            for each in (online_retail._OURS, online_retail.EASE, online_retail._RANDOM)
        )


def test_cold_start_chooses_one_ratio_for_known_and_new_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cold_start, "_DEVELOPMENT", (101,))
    said: list[str] = []
    found = _measure("cold-start", _tiny("cold-start"), said)
    told = next(line for line in said if line.startswith("ratio by "))
    values = dict(
        part.split() for part in told.partition("validation: ")[2].partition(";")[0].split(", ")
    )
    chosen = told.rpartition("chosen: ")[2]
    assert chosen == max(values, key=lambda ratio: float(values[ratio]))
    assert len(found) == 10
    for part, features in cold_start._MIXED.items():
        mixed = found[f"{part}, {features}, mixed"]
        assert mixed.note.count(f"ratio {chosen}, ") == 1
        assert mixed.note.count("standard error") == 2
        assert mixed.fingerprints == found[f"{part}, {features}, random"].fingerprints
        assert len(set(mixed.fingerprints)) == 3
    assert found["cold, metadata, observed"].candidates.startswith("listed items")
