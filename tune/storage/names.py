"""Names of the files in a study's folder: nobody else writes them out.

`tune.storage.folder` says what each holds. (`cluster` serves a study's winner and may not import
this: it repeats two of the names.)
"""

from typing import Final

SETTINGS: Final = "settings.json"
DATA: Final = "data"
JOURNAL: Final = "journal.log"
SPENT: Final = "spent.json"
CHECKPOINTS: Final = "checkpoints"
FINALS: Final = "finals"
MODEL: Final = "model"
RAY: Final = "ray"
SUMMARY: Final = "summary.json"
SUMMARY_BEFORE: Final = "summary.before.json"
SUMMARY_PAGE: Final = "summary.html"
SUMMARY_TEXT: Final = "summary.txt"

OUTBOX: Final = "outbox"
#: In the outbox.
EVENTS: Final = "events.jsonl"
SENT: Final = "sent"
SET_ASIDE: Final = "aside.jsonl"
LOCK: Final = "lock"
