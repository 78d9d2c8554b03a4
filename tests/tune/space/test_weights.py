"""The transform of interaction weights as a dimension of a search."""

from tune.settings import StudySettings, make_plan
from tune.space.check import data_settings

TRANSFORM = "data.table.weight.transform"


def test_transforms_are_searched_over_the_short_form_and_a_cap_where_it_is_one():
    table = {"path": "plays.csv", "weight": "plays"}
    capped = {"choices": [2.0, 5.0], "when": {TRANSFORM: "cap"}}
    settings = StudySettings.model_validate(
        {
            "data": {"source": "table", "name": "plays", "table": table},
            "sweep": {
                "space": {
                    TRANSFORM: ["none", "log1p", "sqrt", "cap"],
                    "data.table.weight.cap": capped,
                }
            },
        }
    )
    plan = make_plan(settings)
    weights = [data.table.weight for data in data_settings(plan.space, plan.base) if data.table]
    assert [(each.transform, each.cap) for each in weights if each] == [
        ("none", None),
        ("log1p", None),
        ("sqrt", None),
        ("cap", 2.0),
        ("cap", 5.0),
    ]
    assert {each.column for each in weights if each} == {"plays"}
