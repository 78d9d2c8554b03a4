import pytest
from pydantic import ValidationError

from hbpr.settings.models import DataSettings, TableSettings

TABLE = {"path": "t.csv"}


def test_a_source_brings_its_defaults():
    ncf = DataSettings(source="ncf")
    assert (ncf.name, ncf.split.kind, ncf.candidates) == ("ml-1m", "leave_one_out", "fixed")
    assert DataSettings(source="coat").split.kind == "fixed"
    assert DataSettings().name == "ml-100k"
    assert DataSettings(source="ncf", candidates="all").candidates == "all"


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "ncf"},
        {"source": "coat", "split": {"kind": "fixed", "validation": 0.2}},
        {"split": {"kind": "fixed", "name": "ua"}},
        {"source": "table", "table": TABLE},
    ],
)
def test_dumped_settings_can_be_read_again(settings):
    found = DataSettings.model_validate(settings)
    assert DataSettings.model_validate_json(found.model_dump_json()) == found
    assert DataSettings.model_validate(found.model_dump()) == found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split": {"kind": "leave_one_out", "train": 0.5}}, "train says nothing to a split"),
        ({"split": {"kind": "random", "name": "u1"}}, "name is for kind fixed"),
        ({"split": {"kind": "fixed"}}, "expected one of u1, u2, .*, got None"),
        ({"name": "ml-1m", "split": {"kind": "fixed", "name": "u1"}}, "no published test part"),
        ({"source": "synthetic", "split": {"kind": "temporal"}}, "needs times, which this synth"),
        ({"source": "coat", "split": {"kind": "random"}}, "coat comes with its test part"),
        ({"candidates": "fixed"}, "fixed lists are published for ncf"),
        ({"source": "table"}, "table goes with source table, got source table without table"),
        ({"table": TABLE}, "got source movielens with table"),
        (
            {"source": "table", "table": TABLE, "split": {"kind": "leave_one_out"}},
            r"name the column table\.time",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_one_message(settings, words):
    with pytest.raises(ValidationError, match=words) as info:
        DataSettings.model_validate(settings)
    assert info.value.error_count() == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"value": "v", "event": "e", "positive_events": ["x"]}, "exclude each other"),
        ({"event": "e"}, "event and positive_events go together"),
        ({"negative_events": ["x"]}, "negative_events needs event"),
        ({"event": "e", "positive_events": [1], "negative_events": ["1"]}, r"both for \['1'\]"),
    ],
)
def test_a_row_has_one_meaning(settings, words):
    with pytest.raises(ValidationError, match=words):
        TableSettings.model_validate({**TABLE, **settings})
