"""A dictionary of default settings in which somebody changed a kind and nothing else.

`TrainingPipeline.create_default_config` returns every setting, also those that only its own kinds
have. Who sets another kind did not write these.
"""

import copy
import logging
from collections.abc import Mapping
from typing import Any

from hbpr.settings.kinds import kinds_in, section_at
from hbpr.settings.models import TrialSettings

_log = logging.getLogger(__name__)


def without_leftovers(config: Mapping[str, Any], start: TrialSettings) -> dict[str, Any]:
    """Return a dictionary without what only the kinds of the start have, where it names others.

    A value that differs from the start's was written on purpose; it stays, to be refused.

    Args:
        config: Settings as a nested dictionary.
        start: Where the dictionary may come from.

    Example:
        >>> start = TrialSettings.model_validate({"model": {"similarity": "cosine"}})
        >>> config = start.model_dump(mode="json")
        >>> config["model"] |= {"kind": "ease", "n_latent": 32}
        >>> without_leftovers(config, start)["model"]
        {'kind': 'ease', 'n_latent': 32}
    """
    if not isinstance(config, Mapping):
        return config  # to be refused
    found = copy.deepcopy(dict(config))
    given = start.model_dump(mode="json")
    for key, kinds in kinds_in(TrialSettings):
        section, before = section_at(found, key), section_at(given, key)
        new = None if section is None else kinds.class_of(section)
        if section is None or before is None or new is None or section.get("kind") is None:
            continue
        own = new.model_fields.keys()
        left = [
            name
            for name in section.keys() - own
            if name in before
            and before["kind"] != section["kind"]
            and section[name] == before[name]
        ]
        for name in sorted(left):
            del section[name]
        if left:
            _log.info(
                "%s.kind is %s, which has no %s: the default is left out",
                key,
                section["kind"],
                ", ".join(sorted(left)),
            )
    return found
