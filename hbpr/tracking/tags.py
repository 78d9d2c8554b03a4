"""Names of the tags that runs, and versions of registered models, carry in MLflow."""

from typing import Final

#: What a run is: train, study, trial or repeat.
KIND: Final = "hbpr.kind"
#: Name of the study, and its unique id.
STUDY: Final = "hbpr.study"
STUDY_ID: Final = "hbpr.study_id"
#: Number of a trial.
TRIAL: Final = "hbpr.trial"
#: Number of the trial that is run again, and the seed of that run.
REPEAT_OF: Final = "hbpr.repeat_of"
SEED: Final = "hbpr.seed"

#: Of a trial that goes on from another's weights: which, after which epoch, and instead of whom.
PARENT: Final = "hbpr.parent"
PARENT_EPOCH: Final = "hbpr.parent_epoch"
REPLACES: Final = "hbpr.replaces"
#: Why a run failed.
ERROR: Final = "hbpr.error"
#: Crashes of a trial's process that were made good, and times that it hung and was killed.
RESTARTS: Final = "hbpr.restarts"
HANGS: Final = "hbpr.hangs"
#: Of a trial: whether it is on the Pareto front; of a study: the numbers of those that are.
FRONT: Final = "hbpr.front"

#: Of a study: its metric, all of its settings and their format, its winner, the schedule of the
#: weights of the winner.
MONITOR: Final = "hbpr.monitor"
SETTINGS: Final = "hbpr.settings"
SETTINGS_FORMAT: Final = "hbpr.settings_format"
BEST_TRIAL: Final = "hbpr.best_trial"
BEST_VALUE: Final = "hbpr.best_value"
BEST_VALUES: Final = "hbpr.best_values"
SCHEDULE: Final = "hbpr.schedule"

#: Of a version of a registered model: what it was judged by, its value, on which data.
METRIC: Final = "hbpr.metric"
VALUE: Final = "hbpr.value"
DATA: Final = "hbpr.data"
#: Of a study, and of a version that is no champion for that reason: baselines that rank above it.
BETTER: Final = "hbpr.better"
#: Of a study: its folder, the validation metrics of its winner and of baselines, and the winner
#: against others, user by user.
FOLDER: Final = "hbpr.folder"
VALIDATION: Final = "hbpr.validation"
COMPARED: Final = "hbpr.compared"
#: Rows of the data that did not become a pair of their own, by reason.
LEFT_OUT: Final = "hbpr.left_out"
#: URI of a logged model, what its files come to, and the version it was registered as.
MODEL: Final = "hbpr.model"
MODEL_CONTENT: Final = "hbpr.model_content"
REGISTERED: Final = "hbpr.registered"

#: MLflow's own: the program that made a run, and its description.
SOURCE: Final = "mlflow.source.name"
NOTE: Final = "mlflow.note.content"

#: How the data were parted, all that training and evaluation read, what is held out and ranked
#: (equal where metrics compare), numbers of users and items.
SPLIT: Final = "hbpr.split"
FINGERPRINT: Final = "hbpr.fingerprint"
EXAM: Final = "hbpr.exam"
USERS: Final = "hbpr.n_users"
ITEMS: Final = "hbpr.n_items"
#: Of a single training: what trained.
ENGINE: Final = "hbpr.engine"
#: What a trial came to in a word, since MLflow's status of a stopped one is KILLED.
STATE: Final = "hbpr.state"
#: Versions of what trained and searched, and the machine a trial ran on.
VERSIONS: Final = "hbpr.versions"
COMMIT: Final = "hbpr.commit"
NODE: Final = "hbpr.node"
#: Of a study: what changing one setting costs the winner.
IMPORTANCE: Final = "hbpr.importance"
