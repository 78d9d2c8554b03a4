"""What a sitting of a study hands back."""

from dataclasses import dataclass, field
from pathlib import Path

from hbpr.inference.system import RecommendationSystem
from hbpr.tracking.records import StudyRecord
from tune.answer.about import AboutStudy


@dataclass(frozen=True, repr=False)
class StudyResult(AboutStudy):
    """A study that came to its result: its record, and the recommender that it found.

    Attributes:
        record: All that its pages show, as plain data.
        system: The winner, refitted.
        folder: Folder of the study, absolute.
        model_folder: Where `system` is saved.
    """

    record: StudyRecord
    system: RecommendationSystem = field(repr=False)
    folder: Path
    model_folder: Path
