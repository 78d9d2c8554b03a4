"""Sections that hold one of several kinds: tables, validation, dumps, schema and messages."""

import pickle
import warnings
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from hbpr.errors import ConfigError
from hbpr.settings.base import Settings
from hbpr.settings.kinds import Kinds, kinds_in
from hbpr.settings.load import validate
from hbpr.settings.problems import known_keys
from hbpr.settings.yaml import Document


class Shape(Settings):
    kind: str
    colour: str = "red"


class Circle(Shape):
    kind: Literal["circle"] = "circle"
    radius: float = Field(1.0, gt=0.0)


class Square(Shape):
    kind: Literal["square"] = "square"
    sides: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 1), strict=False)


class Border(Settings):
    width: int = 1


class Framed(Shape):
    kind: Literal["framed"] = "framed"
    border: Border = Field(default_factory=Border)
    second: Border = Field(default_factory=Border)


SHAPES = Kinds(Shape, Circle, Square, Framed)


class Drawing(Settings):
    title: str = "none"
    shape: Annotated[Shape, SHAPES] = Field(default_factory=Circle, description="What is drawn.")
    second: Annotated[Shape, SHAPES] | None = None


def drawn(**shape: object) -> Drawing:
    return Drawing.model_validate({"shape": shape})


def problem(data: dict[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(Drawing, Document(data, Path("x.yaml"), {"shape": 1, "shape.kind": 2}))
    return str(caught.value)


class TestValidation:
    def test_a_mapping_becomes_the_class_of_its_kind(self):
        assert drawn(kind="square", sides=[3, 4]).shape == Square(sides=(3, 4))
        assert drawn(radius=2.0).shape == Circle(radius=2.0)
        assert Drawing().shape == Circle()

    def test_an_instance_passes_as_it_is(self):
        square = Square(colour="blue")
        assert Drawing(shape=square).shape is square

    def test_an_instance_of_the_base_alone_is_refused(self):
        with pytest.raises(ValidationError, match="must be one of Circle, Square, Framed, got S"):
            Drawing(shape=Shape(kind="circle"))

    def test_values_stay_strict(self):
        assert "must be a number, got '2'" in problem({"shape": {"radius": "2"}})

    def test_optional_fields_hold_kinds_too(self):
        found = Drawing.model_validate({"second": {"kind": "square"}})
        assert found.second == Square()
        assert problem({"second": {"kind": "square", "sides": [0]}}).startswith(
            "x.yaml, second.sides.0: must be greater than or equal to 1"
        )


class TestDumps:
    @pytest.mark.parametrize("shape", [Circle(radius=2.0), Square(sides=(3, 4)), Framed()])
    @pytest.mark.parametrize("options", [{}, {"exclude_defaults": True}, {"exclude_unset": True}])
    def test_what_is_dumped_is_read_again(self, shape, options):
        drawing = Drawing(shape=shape)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = drawing.model_dump(**options)
            values_json = drawing.model_dump(mode="json", **options)
            text = drawing.model_dump_json(**options)
        assert Drawing.model_validate(values) == drawing
        assert Drawing.model_validate(values_json) == drawing
        assert Drawing.model_validate_json(text) == drawing
        assert pickle.loads(pickle.dumps(drawing)) == drawing  # noqa: S301

    def test_only_the_fields_of_the_kind_are_dumped(self):
        dumped = Drawing(shape=Square()).model_dump(mode="json", exclude={"shape": {"colour"}})
        assert dumped["shape"] == {"kind": "square", "sides": [1, 1]}

    def test_the_default_kind_needs_no_name_among_what_is_not_at_its_default(self):
        assert Drawing(shape=Circle(radius=2.0)).model_dump(exclude_defaults=True) == {
            "shape": {"radius": 2.0}
        }


class TestMessages:
    def test_an_unknown_kind_names_those_there_are(self):
        assert problem({"shape": {"kind": "circel"}}) == (
            "x.yaml, line 2, shape.kind: must be circle, square or framed, got 'circel'. "
            "Did you mean circle?"
        )
        assert "got ['circle']" in problem({"shape": {"kind": ["circle"]}})

    def test_a_field_of_another_kind_names_that_kind(self):
        assert problem({"shape": {"kind": "square", "radius": 1.0}}) == (
            "x.yaml, line 1, shape.radius: kind square has no such setting; it has colour, sides. "
            "radius belongs to kind circle"
        )

    def test_a_field_of_no_kind_names_the_nearest_or_all(self):
        assert problem({"shape": {"raduis": 1.0}}).endswith("unknown key. Did you mean radius?")
        assert (
            problem({"shape": {"titel": "x", "qqq": 1}})
            .splitlines()[1]
            .endswith("shape.qqq: kind circle has no such setting; it has colour, radius")
        )

    def test_problems_of_a_section_come_together_at_their_places(self):
        lines = problem({"shape": {"kind": "framed", "colour": 3, "radius": 1.0}}).splitlines()
        assert [line.split(": ")[0].split(", ")[-1] for line in lines] == [
            "shape.colour",
            "shape.radius",
        ]
        nested = problem({"shape": {"kind": "framed", "border": {"witdh": 1}}})
        assert nested.endswith("shape.border.witdh: unknown key. Did you mean width?")

    @pytest.mark.parametrize("value", [3, None, "circle"])
    def test_a_value_is_no_section(self, value):
        assert "shape: must be a section of `key: value` lines" in problem({"shape": value})


class TestTable:
    def test_a_kind_that_is_added_later_fits(self):
        shapes = Kinds(Shape, Circle)

        class Page(Settings):
            shape: Annotated[Shape, shapes] = Circle()

        with pytest.raises(ValidationError, match="circle"):
            Page.model_validate({"shape": {"kind": "line"}})

        @shapes.add
        class Line(Shape):
            kind: Literal["line"] = "line"
            length: int = 1

        page = Page.model_validate({"shape": {"kind": "line", "length": 3}})
        assert page.shape == Line(length=3)
        assert Page.model_validate_json(page.model_dump_json()) == page
        assert "shape.length" in known_keys(Page)
        assert len(Page.model_json_schema()["properties"]["shape"]["oneOf"]) == 2

    def test_wrong_kinds_are_refused(self):
        class Nameless(Shape):
            pass

        class Taken(Shape):
            kind: Literal["circle"] = "circle"

        with pytest.raises(TypeError, match="must derive from Shape"):
            Kinds(Shape, Drawing)
        with pytest.raises(TypeError, match="a kind declares its name"):
            Kinds(Shape, Nameless)
        with pytest.raises(ValueError, match=r"kind circle is .* already"):
            Kinds(Shape, Circle, Taken)

    def test_keys_of_all_kinds_are_known_once(self):
        keys = known_keys(Drawing)
        assert keys.count("shape.colour") == 1
        assert {"shape.radius", "shape.sides", "shape.border.width"} <= set(keys)
        assert kinds_in(Drawing) == (("shape", SHAPES), ("second", SHAPES))


def test_the_schema_offers_each_kind_with_its_own_fields():
    schema = Drawing.model_json_schema()
    first, second, third = schema["properties"]["shape"]["oneOf"]
    assert first["properties"].keys() == {"kind", "colour", "radius"}
    assert "kind" not in first.get("required", [])
    assert second["required"] == third["required"] == ["kind"]
    assert second["properties"]["kind"]["const"] == "square"
    framed = schema["$defs"][third["$ref"].rpartition("/")[2]]
    assert framed["properties"]["border"] == {"$ref": "#/$defs/Border"}
    assert "Border" in schema["$defs"]
