"""One searched setting, or one section of settings, and when a trial has it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hbpr.settings.load import dotted
from tune.space.domains import Choice, Domain, same

if TYPE_CHECKING:
    from hbpr.settings.models import TrialSettings


@dataclass(frozen=True)
class Dimension:
    """One searched setting, or one section of settings.

    Attributes:
        key: Dotted path of the setting or section.
        domain: The values it may take.
        when: Conditions (dotted key, values that satisfy it); all must hold for a trial to have
            this dimension.
    """

    key: str
    domain: Domain
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def is_section(self) -> bool:
        """Whether its choices set whole sections of settings."""
        return isinstance(self.domain, Choice) and any(
            isinstance(value, Mapping) for value in self.domain.values
        )

    @property
    def settings(self) -> frozenset[str]:
        """The dotted settings that its values set; a section's are those that a choice names."""
        if not self.is_section:
            return frozenset((self.key,))
        return frozenset(name for value in self.domain.probes() for name in self.named(value))

    def named(self, value: Any) -> dict[str, Any]:
        """Return what one of its values sets: dotted setting -> value."""
        return dotted({self.key: value})

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial with these values, those of its parents among them, has it."""
        return all(
            key in values and any(same(values[key], value) for value in allowed)
            for key, allowed in self.when
        )

    @property
    def ends(self) -> str:
        """The ends of a range in words, for messages; empty for a choice."""
        if isinstance(self.domain, Choice):
            return ""
        return f"low={self.domain.low}, high={self.domain.high}"


def written_settings(raw: Mapping[str, Any]) -> list[str]:
    """Return the dotted settings that a space as it was written sets, in its order.

    Example:
        >>> written_settings({"optimizer.lr": [0.1], "model": [{"kind": "mf"}, {"n_latent": 8}]})
        ['optimizer.lr', 'model.kind', 'model.n_latent']
    """
    return list(dict.fromkeys(n for key in raw for each in _written(raw, key) for n in each))


def partly_written(raw: Mapping[str, Any]) -> list[list[str]]:
    """Return what `written_settings` has and not all trials do: groups that trials have together.

    A dimension with ``when`` is in the group of all that have the same condition, beside the
    dimensions with a condition that it looks at; what only some choices name is in a group of each.

    Example:
        >>> observed = {"low": 0, "high": 1, "when": {"negatives.kind": "mixed"}}
        >>> partly_written({"negatives.kind": ["all", "mixed"], "negatives.observed": observed})
        [['negatives.observed']]
        >>> partly_written({"model": [{"kind": "mf", "n_latent": 8}, {"kind": "ease"}]})
        [['model.n_latent']]
    """
    groups: dict[str, dict[str, None]] = {}
    needs: dict[str, dict[str, None]] = {}
    for key, written in raw.items():
        each = _written(raw, key)
        common = [name for name in each[0] if all(name in names for names in each)]
        when = written.get("when") if isinstance(written, Mapping) else None
        needed: dict[str, None] = {}
        if when:
            for parent in when:
                needed |= needs.get(parent, {})
            needed |= dict.fromkeys(common)
            needs |= dict.fromkeys((key, *common), needed)
            groups.setdefault(json.dumps(when, sort_keys=True, default=str), {}).update(needed)
        for names in each:
            extra = [name for name in names if name not in common]
            if extra:
                groups[f"{key} {extra}"] = needed | dict.fromkeys(extra)
    return [list(group) for group in groups.values()]


def _written(raw: Mapping[str, Any], key: str) -> list[list[str]]:
    """Return the settings that each choice of a dimension sets; of a range, its own."""
    written = raw[key]
    choices = written.get("choices") if isinstance(written, Mapping) else written
    several = choices if isinstance(choices, list | tuple) and choices else [None]
    return [list(dotted({key: choice})) for choice in several]


def setting_of(settings: "TrialSettings", key: str) -> Any:
    """Return the value of a dotted key; None in a section that is left out, or of another kind."""
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name) if name in type(value).model_fields else None
        if value is None:
            return None
    return value
