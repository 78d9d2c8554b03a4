"""Coat Shopping: which negatives serve best where the test items were drawn at random."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from hbpr.baselines import Ease, Popularity
from hbpr.data import Interactions, load_data
from hbpr.evaluation import Evaluation, Ranks, Scorer
from hbpr.evaluation.metrics import PerUser, ndcg_at_k
from hbpr.reproductions.baselines import EASE, POPULARITY, best_regularisation
from hbpr.reproductions.paired import paired_difference
from hbpr.reproductions.row import Figures, Order, Row, Say
from hbpr.reproductions.seeds import evaluate_test, train_seeds
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer

_METRICS: Final = ("test/ndcg_at_5", "test/auc")
_KINDS: Final = ("observed", "mixed", "uniform")
#: Splits of the log into train and validation that choose; the last fit learns the whole log.
_N_SPLITS: Final = 5
_REGULARISATIONS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_OURS: Final = "BPR, negatives chosen on validation"


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    splits = [
        load_data(with_values(settings, {"data.split.seed": seed}).data)
        for seed in range(_N_SPLITS)
    ]
    data = splits[0]
    whole = load_data(with_values(settings, {"data.candidates": "all"}).data)
    top_k, monitor = settings.training.top_k, settings.training.monitor
    of_kind = {kind: with_values(settings, {"training.negatives.kind": kind}) for kind in _KINDS}
    validation = {
        kind: fmean(_validate(of_kind[kind], split) for split in splits) for kind in _KINDS
    }
    best = max(_KINDS, key=validation.__getitem__)
    described = ", ".join(f"{kind} {value:.4f}" for kind, value in validation.items())
    say(f"negatives by {monitor}, mean of {_N_SPLITS} splits: {described}; chosen: {best}")
    learnt = data.seen()
    regularisation = best_regularisation(splits, settings.training, _REGULARISATIONS)
    ease = Ease.fit(learnt, regularisation=regularisation)
    ease_test = evaluate_test(ease, data, top_k)
    found = []

    def add(label: str, scorers: Sequence[Scorer], numbers: Sequence[int], note: str) -> None:
        for name, view in ((label, data), (f"{label}; whole catalogue", whole)):
            tests = [evaluate_test(scorer, view, top_k) for scorer in scorers]
            about = [_users(tests[0]), note]
            if label == _OURS and view is data:
                mean, half = paired_difference([t.ranks for t in tests], ease_test.ranks, _ndcg)
                about.append(f"NDCG@5 over the users {mean:+.4f} ± {half:.4f} to EASE (95 %)")
            found.append(
                Figures.of(
                    name,
                    view,
                    [test.metrics for test in tests],
                    seeds=numbers,
                    metrics=_METRICS,
                    note="; ".join(part for part in about if part),
                )
            )

    for kind in (best, *(kind for kind in _KINDS if kind != best)):
        runs = train_seeds(of_kind[kind], data, seeds, refit=True, say=say, label=kind)
        label = _OURS if kind == best else f"BPR, {kind} negatives"
        note = f"{kind} negatives, {monitor} {validation[kind]:.4f}"
        add(label, [run.model for run in runs], seeds, note)
    add(EASE, [ease], (), f"regularisation {regularisation:g}, chosen on the same splits")
    add(POPULARITY, [Popularity(learnt)], (), "")
    return tuple(found)


def _validate(settings: TrialSettings, split: Interactions) -> float:
    """Return the monitored metric of the last epoch on the validation part of a split."""
    trainer = Trainer(split, settings, threads=settings.training.threads)
    for _ in trainer:
        pass
    return trainer.last_metrics[settings.training.monitor]


def _ndcg(ranks: Ranks) -> PerUser:
    return ndcg_at_k(ranks, 5)


def _users(found: Evaluation) -> str:
    text = f"{found.n_users} people"
    return f"{text}, {found.n_unopposed} with nothing else to rank" if found.n_unopposed else text


ROW: Final = Row(
    name="coat",
    title="Coat Shopping: observed, mixed or uniform negatives, judged by an unbiased test",
    protocol="""
290 people rated 24 coats of their own choice, the log, and 16 coats drawn at random for them, the
test part. A rating of 4 or 5 is a positive, one of 1 to 3 an observed negative. A person's test
positives are ranked among the coats that the person was made to rate and rated low: no model and no
taste has a say in that list, so the test is unbiased. People without a test positive, or with
nothing else, are in no mean. Beside it stands the whole catalogue without the log's positives,
where a coat that nobody asked about counts as a negative.

Only the log chooses. A fifth of each person's ratings is for validation, and positives are ranked
among the low ratings of that part: ratings against ratings, like the test, while whole-catalogue
lists of a log would reward guessing what people choose to rate. AUC judges, since lists of about
four coats leave little to NDCG@5, as the mean over five such splits; they are biased, being the
log's. Settings and the number of epochs were chosen so, then the kind of negatives under these
settings; the last fit learns the whole log for as many epochs. 366 pairs that are rated in both
parts are left out of training.

The model also reads what is published of the coats (gender, type, colour, front page); EASE and
popularity read no features. The deviation over the seeds says nothing of the 290 people; the
interval over the users does.
""",
    metrics=_METRICS,
    published=(),
    bars=(
        Order(_OURS, EASE, "test/ndcg_at_5"),
        Order(_OURS, POPULARITY, "test/ndcg_at_5"),
    ),
    measure=_measure,
    n_seeds=10,
)
