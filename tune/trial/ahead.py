"""What a worker of a private Ray imports before it has a trial; see `tune.study.early`.

Ray counts a worker's threads when it gives it work, which is after these imports, and libraries
count theirs when they are loaded.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tune.trial.trainable  # noqa: F401 - importing is what it is for
