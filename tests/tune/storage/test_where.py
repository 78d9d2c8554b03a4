"""Where studies are kept, as `sweep.storage` says."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hbpr.errors import ConfigError
from tune.settings import load_study
from tune.storage.where import (
    DRIVER,
    experiment_folder,
    root_of,
    shared_place,
    split_address,
    study_address,
)


def test_a_study_has_one_address(small_study, tmp_path) -> None:
    assert study_address(small_study(), "one") == f"{tmp_path}/studies/small/one"
    stored = small_study({"storage": "s3://shop/studies/"})
    assert study_address(stored, "one") == "s3://shop/studies/small/one"
    assert split_address("s3://shop/studies/small/one/") == ("s3://shop/studies", "small", "one")
    assert split_address("s3://shop/small/one") == ("s3://shop", "small", "one")


@pytest.mark.parametrize("address", ["s3://shop", "s3://shop/one"])
def test_what_is_no_address_of_a_study(address) -> None:
    with pytest.raises(ConfigError, match="STORAGE/EXPERIMENT/STUDY"):
        split_address(address)


def test_what_every_node_must_reach(small_study, tmp_path) -> None:
    assert shared_place(small_study()) == f"{tmp_path}/studies/small"
    assert shared_place(small_study({"storage": "s3://shop/studies"})) == "s3://shop/studies/small"
    assert shared_place(small_study({"storage": DRIVER})) is None


def test_where_a_driver_works(small_study, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    here = experiment_folder(small_study({"storage": DRIVER}))
    assert here == tmp_path / "hbpr" / "studies" / "small"
    monkeypatch.chdir(tmp_path)
    assert root_of("./driver") == Path("driver").absolute()
    one, two = root_of("s3://shop/a"), root_of("s3://shop/b")
    assert one != two
    assert root_of("s3://shop/a/") == one


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("s3://KEY:wJalrXUtnFEMI@shop/x", "must not hold a key or password"),
        ("http://host/x", "expected a folder or s3://BUCKET/FOLDER, got http://"),
        ("s3:///x", "expected s3://BUCKET/FOLDER"),
        ("s3://shop/x?endpoint_override=host", "AWS_ENDPOINT_URL on every node"),
    ],
)
def test_urls_that_are_refused(small_study, storage, said) -> None:
    with pytest.raises(ValidationError, match=said) as error:
        small_study({"storage": storage})
    words = str(error.value.errors(include_input=False, include_url=False))
    assert "wJalrXUtnFEMI" not in words


def test_a_secret_is_not_shown_by_what_reads_the_file(tmp_path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "data: {source: synthetic}\n"
        "sweep: {space: {model.n_latent: [4, 8]}, storage: 's3://KEY:wJalrXUtnFEMI@shop/x'}\n"
    )
    for overrides in ([], ["sweep.storage=s3://KEY:wJalrXUtnFEMI@shop/y"]):
        with pytest.raises(ConfigError, match="must not hold a key or password") as error:
            load_study(path, overrides)
        assert "wJalrXUtnFEMI" not in str(error.value)
