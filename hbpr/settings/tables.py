"""Settings of tables of your own: the files, how they are written, and what their columns mean."""

import codecs
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hbpr.places import has_secret
from hbpr.settings.base import Settings

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
#: A column, or several that make one id together.
Columns = Text | Texts
#: What becomes of the weight of a pair, see `hbpr.data.weights`.
WeightTransform = Literal["none", "log1p", "sqrt", "cap"]

#: Pairs of roles that one column may have.
_SHARED: Final = (
    {"page", "time"},
    {"value", "weight"},
    {"value", "time"},
    {"event", "weight"},
)


def _delimiter(text: Any) -> Any:
    r"""Take ``\t``, which YAML reads as two characters outside of quotes, as a tab."""
    return "\t" if text == "\\t" else text


def _one_line(text: str | None) -> str | None:
    if text is not None and ("\n" in text or "\r" in text):
        raise ValueError("must not hold a line break")
    return text


def _encoding(name: str | None) -> str | None:
    try:
        return name if name is None else codecs.lookup(name).name
    except LookupError:
        raise ValueError("must be an encoding such as utf-8, latin-1, cp1252 or utf-16") from None


def _quote(text: str | None) -> str | None:
    if text is not None and (len(text.encode()) > 1 or text in "\r\n"):
        raise ValueError("must be one plain character, or null: nothing is quoted")
    return text


def _no_secret(paths: "str | tuple[str, ...]") -> "str | tuple[str, ...]":
    for path in (paths,) if isinstance(paths, str) else paths:
        if has_secret(path):
            raise ValueError(
                "must not hold a key or password, since every record would show it; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
    return paths


#: Files, folders and patterns: one, or a list.
Paths = Annotated[Columns, AfterValidator(_no_secret)]
Delimiter = Annotated[
    str, BeforeValidator(_delimiter), AfterValidator(_one_line), Field(min_length=1)
]
Encoding = Annotated[str, AfterValidator(_encoding)]
Quote = Annotated[str, AfterValidator(_quote), Field(min_length=1)] | None


class FeatureTableSettings(Settings):
    """A table that describes users or items: a row for each, or a row for each of their labels."""

    path: Paths = Field(
        description="CSV (also packed), Parquet; a folder, a pattern or a list of such files; "
        "s3://BUCKET/KEY too."
    )
    id: Columns = Field(description="Column of the user or item id; a list joins several.")
    columns: tuple[str, ...] | None = Field(
        None, strict=False, description="Columns to use; none: all but the id."
    )
    separator: str | None = Field(
        None, min_length=1, description="Splits a text into several values, such as '|'."
    )
    numeric: dict[str, Literal["scaled"] | Annotated[int, Field(ge=2, le=1000)]] = Field(
        default_factory=dict,
        description="Columns that are numbers: scaled (mean 0, deviation 1), or how many bins of "
        "equal counts.",
    )
    feature: str | None = Field(
        None, min_length=1, description="Column of a label, in a table of a row for each."
    )
    weight: str | None = Field(
        None, min_length=1, description="Column of the label's weight; goes with feature."
    )
    header: Texts | None = Field(None, description="Names of the columns of a file without any.")
    delimiter: Delimiter | None = Field(
        None, description="Text: between columns; left out: as in the table of interactions."
    )
    encoding: Encoding | None = Field(
        None, description="Text: its encoding; left out: as in the table of interactions."
    )
    quote: Quote = Field('"', description="Text: around values; null: nothing is quoted.")
    missing: tuple[str, ...] | None = Field(
        None,
        strict=False,
        description="Texts of a missing value; left out: as in the table of interactions.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> "FeatureTableSettings":
        if self.weight is not None and self.feature is None:
            raise ValueError(f"weight goes with feature, got weight {self.weight!r} alone")
        if self.feature is not None:
            for key in ("columns", "numeric"):
                if getattr(self, key):
                    raise ValueError(
                        f"feature is for tables of a row for each label, {key} for those of a row "
                        f"for each id: leave one out, got feature {self.feature!r} and {key} "
                        f"{list(getattr(self, key))}"
                    )
        return self


class WeightSettings(Settings):
    """Weights of interactions: how much more often training visits a pair."""

    column: str = Field(min_length=1, description="Column of the weight, above 0.")
    transform: WeightTransform = Field(
        "none",
        description="Of a pair's weight, repeated rows added up: log1p: log(1 + w); sqrt; cap: at "
        "most cap.",
    )
    cap: float | None = Field(
        None, gt=0.0, allow_inf_nan=False, description="cap: the largest weight."
    )

    @model_validator(mode="after")
    def _cap_goes_with_its_value(self) -> "WeightSettings":
        check_cap(self.transform, self.cap)
        return self


def check_cap(transform: WeightTransform, cap: float | None) -> None:
    """Refuse a cap without its value, and a value without a cap.

    Raises:
        ValueError: One is there without the other.
    """
    if transform == "cap" and cap is None:
        raise ValueError("transform cap needs cap, the largest weight, such as cap: 50; got none")
    if transform != "cap" and cap is not None:
        raise ValueError(
            f"cap is for transform cap, got cap {cap:g} beside transform {transform}; leave it "
            "out, or in a search give it when: {data.table.weight.transform: cap}"
        )


def _weight(raw: Any) -> Any:
    """Take the name of a column alone."""
    return {"column": raw} if isinstance(raw, str) else raw


class RowsSettings(Settings):
    """The meaning of the columns of a table of interactions, one row each."""

    user: Columns = Field("user", description="Column of the user id; a list joins several.")
    item: Columns = Field("item", description="Column of the item id; a list joins several.")
    value: str | None = Field(
        None, min_length=1, description="Column of a number that data.rating_threshold judges."
    )
    event: str | None = Field(
        None, min_length=1, description="Column of an event type or label; excludes value."
    )
    positive_events: tuple[str | int | bool, ...] = Field(
        (), strict=False, description="Values of event that make a positive."
    )
    negative_events: tuple[str | int | bool, ...] = Field(
        (), strict=False, description="Values of event that make an observed negative."
    )
    page: str | None = Field(
        None,
        min_length=1,
        description="Column of the page, list or session that showed the item; what a user was "
        "shown and never chose is an observed negative.",
    )
    time: str | None = Field(
        None, min_length=1, description="Column of a time: a number or a date."
    )
    weight: Annotated[WeightSettings | None, BeforeValidator(_weight)] = Field(
        None, description="Column of a weight, or {column, transform, cap}."
    )
    propensity: str | None = Field(
        None,
        min_length=1,
        description="Column of the probability, above 0 and at most 1, with which the row was "
        "logged; metrics are then estimated by its inverse as well.",
    )
    missing: tuple[str, ...] = Field(
        ("",),
        strict=False,
        description="Texts of a missing value; in numbers and times NA, NaN and null are as well.",
    )
    min_per_user: int = Field(1, ge=1, description="Positives that a user has at least.")
    min_per_item: int = Field(1, ge=1, description="Positives that an item has at least.")
    k_core: bool = Field(
        False, description="Repeat the two minima until both hold; else items first, then users."
    )

    @model_validator(mode="after")
    def _rows_have_one_meaning(self) -> "RowsSettings":
        if self.value is not None and self.event is not None:
            raise ValueError("value and event exclude each other: what is a positive?")
        if (self.event is not None) != bool(self.positive_events):
            raise ValueError(
                "event and positive_events go together, "
                f"got event {self.event!r} and positive_events {list(self.positive_events)}"
            )
        if self.negative_events and self.event is None:
            raise ValueError("negative_events needs event, the column to find them in")
        both = {str(e) for e in self.positive_events} & {str(e) for e in self.negative_events}
        if both:
            raise ValueError(f"an event is positive or negative, got both for {sorted(both)}")
        return self

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> "RowsSettings":
        roles: dict[str, str] = {}
        for role in ("user", "item", "event", "page", "value", "time", "weight", "propensity"):
            named = getattr(self, role)
            if isinstance(named, WeightSettings):
                named = named.column
            for column in (named,) if isinstance(named, str) else named or ():
                first = roles.setdefault(column, role)
                if first != role and {first, role} not in _SHARED:
                    raise ValueError(
                        f"the column {column!r} is named twice, as {first} and as {role}"
                    )
        return self


class TableSettings(RowsSettings):
    """A table of interactions in files, and the meaning of its columns."""

    path: Paths = Field(
        description="CSV (also packed), Parquet; a folder, a pattern or a list of such files; "
        "s3://BUCKET/KEY too."
    )
    columns: Texts | None = Field(None, description="Names of the columns of a file without any.")
    delimiter: Delimiter = Field(",", description="Text: between columns; of any length.")
    encoding: Encoding = Field("utf-8", description="Text: its encoding.")
    quote: Quote = Field('"', description="Text: around values; null: nothing is quoted.")
    user_features: FeatureTableSettings | None = Field(None, description="Describes users.")
    item_features: FeatureTableSettings | None = Field(None, description="Describes items.")
