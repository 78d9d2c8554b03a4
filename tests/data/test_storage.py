import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hbpr.data import UserItemData
from hbpr.errors import DataError, DatasetMissingError

IDS = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "str": st.text(max_size=4).filter(lambda s: not s.endswith("\0")),
    "float": st.floats(allow_nan=False, allow_infinity=False),
}
WEIGHTS = st.one_of(st.none(), st.floats(0.125, 8, width=32))


@st.composite
def datasets(draw) -> UserItemData:
    users, items = draw(st.sampled_from(list(IDS))), draw(st.sampled_from(list(IDS)))
    data = UserItemData(draw(st.text(max_size=5)))
    for add in (data.add_positive_interactions, data.add_negative_interactions):
        rows = draw(st.lists(st.tuples(IDS[users], IDS[items], WEIGHTS), max_size=6))
        weights = [w for _, _, w in rows]
        weighted = rows and None not in weights
        add([u for u, _, _ in rows], [i for _, i, _ in rows], weights if weighted else None)
    data.add_positive_interactions([draw(IDS[users])], [draw(IDS[items])])
    pages = draw(st.sampled_from(list(IDS)))
    rows = draw(st.lists(st.tuples(IDS[users], IDS[items], IDS[pages]), max_size=6))
    data.add_pages(*zip(*rows, strict=True)) if rows else data.add_pages([], [], [])
    for add, kind in ((data.add_user_features, users), (data.add_item_features, items)):
        for label in draw(st.lists(st.sampled_from(list(IDS)), max_size=2)):
            rows = draw(st.lists(st.tuples(IDS[kind], IDS[label]), max_size=5))
            weights = draw(st.none() | st.just(np.arange(len(rows)) - 1.0))
            add([i for i, _ in rows], [f for _, f in rows], weights)
    if draw(st.booleans()):
        data.split_train_test(draw(st.floats(0.1, 0.9)), seed=draw(st.integers(0, 9)))
    return data


@given(datasets())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_comes_back(tmp_path, data):
    data.save(tmp_path / "d.npz")
    back = UserItemData.load(tmp_path / "d.npz")
    assert (back.name, back.split, repr(back)) == (data.name, data.split, repr(data))
    made, again = data.to_interactions(), back.to_interactions()
    assert again.fingerprint == made.fingerprint
    assert (again.pages is None) == (made.pages is None)
    assert again.user_ids.tolist() == made.user_ids.tolist()
    assert again.item_ids.dtype == made.item_ids.dtype
    assert again.item_ids.tolist() == made.item_ids.tolist()
    assert again.user_feature_names == made.user_feature_names
    assert again.item_feature_names == made.item_feature_names


def small() -> UserItemData:
    data = UserItemData("shop")
    data.add_positive_interactions(["a", "b"], [1, 2])
    return data


def test_a_loaded_dataset_can_be_added_to(tmp_path):
    small().save(tmp_path / "new folder" / "shop.npz")
    data = UserItemData.load(str(tmp_path / "new folder" / "shop.npz"))
    data.add_positive_interactions(["c"], [1])
    assert (data.n_users, data.n_positives) == (3, 3)
    with pytest.raises(DataError, match="of one type"):
        data.add_negative_interactions([1], [1])


def test_pages_of_a_loaded_dataset_go_on(tmp_path):
    data = small()
    data.add_pages(["a", "a"], [1, 2], ["home", "home"], times=[1, 2])
    data.save(tmp_path / "shop.npz")
    again = UserItemData.load(tmp_path / "shop.npz")
    again.add_pages(["a", "b"], [3, 3], ["home", "home"])
    whole = again.assemble()
    assert whole.page_ids.tolist() == ["home", "home"]
    assert whole.pages.shown.counts.tolist() == [3, 1]
    assert again.n_negatives == 3
    with pytest.raises(DataError, match=r"pages: ids must be of one type, got str .* and int"):
        again.add_pages(["a"], [3], [7])


def test_saving_replaces_and_leaves_nothing_beside(tmp_path):
    for _ in range(2):
        small().save(tmp_path / "shop.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["shop.npz"]


def test_the_file_holds_no_pickle_and_says_what_it_is(tmp_path):
    small().save(tmp_path / "shop.npz")
    with np.load(tmp_path / "shop.npz", allow_pickle=False) as archive:
        assert all(archive[key].dtype != object for key in archive)
        assert json.loads(archive["about"].tobytes())["format"] == "hbpr.user_item/1"


def test_ids_that_json_and_numpy_do_not_know_are_refused_by_name(tmp_path):
    """Ids are refused when they are added, labels when they are saved."""
    data = small()
    with pytest.raises(DataError, match=r"users: ids must be .* got tuple \(\(1, 'x'\)\).*'1\|x'"):
        data.add_positive_interactions([(1, "x")], [1])
    data.add_item_features([1], [(2,)])
    with pytest.raises(DataError, match="item_labels_0"):
        data.save(tmp_path / "shop.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetMissingError, match=r"nothing\.npz: no such file"):
        UserItemData.load(tmp_path / "nothing.npz")


def rewritten(path, **changes):
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive} | changes
    with path.open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    "change",
    [
        {"about": np.frombuffer(b'{"format": "other"}', np.uint8)},
        {"about": np.frombuffer(b"{", np.uint8)},
        {"positives_indptr": np.array([0, 1])},
        {"positives_indptr": np.array([0, 2, 1])},
        {"positives_items": np.array([0, 9])},
        {"user_features_indices": np.array([0, -1])},
        {"item_ids": np.array([1, None], object)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_that_was_changed_is_refused(tmp_path, change):
    path = tmp_path / "shop.npz"
    small().save(path)
    rewritten(path, **change)
    with pytest.raises(DataError, match=r"shop\.npz: "):
        UserItemData.load(path)


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_broken_file_is_refused(tmp_path, keep):
    path = tmp_path / "shop.npz"
    small().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    with pytest.raises(DataError, match="not a dataset written by"):
        UserItemData.load(path)
