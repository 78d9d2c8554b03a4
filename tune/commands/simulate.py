"""The command `hbpr simulate`: choose how to search by measurement, in seconds."""

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tune.forecast.curves import Curve, Curves
    from tune.forecast.replay import Comparison
    from tune.schedulers import SchedulerSettings

_AT = (0.1, 0.25, 0.5, 1.0)


@click.command(
    "simulate",
    epilog="""\b
Examples:
  hbpr simulate studies/ml-100k/20261121-100307-c1b1
  hbpr simulate curves.csv --sampler tpe --sampler gp --scheduler asha:5:3 --scheduler asha:10:3
  hbpr simulate curves.csv --trials 64 --seeds 20 --workers 2
\b
Curves to replay are best recorded by a study with sweep.search.algorithm: random and
sweep.scheduler.kind: none. A CSV file has the columns trial, epoch, value, seconds (since the
report before; optional) and one for each setting.
""",
)
@click.argument("curves", type=click.Path(exists=True))
@click.option(
    "--sampler",
    "samplers",
    multiple=True,
    type=click.Choice(["tpe", "gp", "cmaes", "qmc", "random"]),
    help="What decides the next trial. May be repeated. Default: random and tpe.",
)
@click.option(
    "--scheduler",
    "schedulers",
    multiple=True,
    metavar="KIND[:GRACE[:FACTOR]]",
    help="What stops trials, such as none, asha or median. May be repeated. Default: each that "
    "can be replayed.",
)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Repeats."
)
@click.option(
    "--workers", type=click.IntRange(1, 10_000), default=1, show_default=True, help="At a time."
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="Trials of the full random search that all are measured by. Default: all recorded ones.",
)
@click.option(
    "--start",
    "start",
    multiple=True,
    type=click.IntRange(min=0),
    metavar="TRIAL",
    help="Begin every search with this recorded trial, by its place from 0. May be repeated.",
)
def simulate(
    curves: str,
    samplers: tuple[Any, ...],
    schedulers: tuple[str, ...],
    seeds: int,
    workers: int,
    trials: int | None,
    start: tuple[int, ...],
) -> None:
    """Replay searches on recorded learning curves, with a virtual clock.

    CURVES is the folder of a study, or a CSV file. Every sampler is combined with every scheduler,
    and may spend as many training seconds as a random search that runs all its trials to their end.
    """
    started = time.monotonic()
    from tune.forecast.curves import read_curves
    from tune.forecast.replay import Strategy, compare
    from tune.storage.journal import quiet_optuna

    quiet_optuna()
    recorded = read_curves(curves)
    rules = [_scheduler(text, recorded) for text in schedulers or _replayable()]
    strategies = [Strategy(name, rule) for name in samplers or ("random", "tpe") for rule in rules]
    compared = compare(
        recorded,
        strategies,
        seeds=range(seeds),
        workers=workers,
        num_trials=trials,
        at=_AT,
        start=_chosen(recorded, start),
    )
    for line in _lines(recorded, compared, seeds, trials or len(recorded.curves)):
        click.echo(line)
    click.echo(
        f"\nReplayed {len(strategies) * seeds} searches in {time.monotonic() - started:.1f} s"
    )


def _scheduler(text: str, recorded: "Curves") -> "SchedulerSettings":
    """Read KIND[:GRACE[:FACTOR]]; what is left out is the recorded study's."""
    from hbpr.errors import ConfigError
    from tune.schedulers import SCHEDULERS

    kind, *words = text.split(":")
    found = SCHEDULERS.class_of({"kind": kind})
    if found is not None and not found.replayable:
        raise ConfigError(
            f"--scheduler {kind}: its trials change settings on the way, and recorded curves do "
            "not say what would have become of them. Compare it with a study of its own"
        )
    names = found.short_form if found else ()
    own = {name: str(getattr(recorded.scheduler, name, "")) for name in names}
    given = dict(zip(names, words, strict=False))
    filled = {name: given.get(name) or own[name] for name in names}
    try:
        if found is None or len(words) > len(names):
            raise ValueError("no such kind, or too many colons")
        return found.model_validate_strings(
            {name: value for name, value in filled.items() if value}
        )
    except ValueError as error:  # a ValidationError is one
        kinds = ", ".join(_replayable())
        raise ConfigError(
            f"--scheduler {text}: expected KIND[:GRACE[:FACTOR]], such as asha:5:3, with one of "
            f"{kinds}, a grace period of 1 or more and a factor above 1"
        ) from error


def _chosen(recorded: "Curves", places: "Sequence[int]") -> "list[Curve]":
    """Return the recorded trials at these places, each once."""
    from hbpr.errors import ConfigError

    for place in places:
        if place >= len(recorded.curves):
            raise ConfigError(
                f"--start {place}: {len(recorded.curves)} trials are recorded, the first is 0"
            )
    return [recorded.curves[place] for place in dict.fromkeys(places)]


def _replayable() -> list[str]:
    """Return the kinds of schedulers under which recorded curves say how a search would end."""
    from tune.schedulers import SCHEDULERS

    return [each.model_fields["kind"].default for each in SCHEDULERS if each.replayable]


def _lines(
    recorded: "Curves", compared: "Sequence[Comparison]", seeds: int, trials: int
) -> list[str]:
    """Return the table, best strategy first, and what early values are worth."""
    from tune.answer.early_order import rank_correlations, warning_of
    from tune.forecast.curves import finals

    total = sum(curve.seconds for curve in recorded.curves)
    ordered = sorted(compared, key=lambda each: (_median(each.shares), -_best(each, -1)))
    width = max(len(each.strategy.name) for each in compared)
    lines = [
        f"{len(recorded.curves)} recorded trials, {recorded.max_epochs} epochs, {total:,.0f} s of "
        f"training; medians of {seeds} seeds",
        "",
        f"{'':{width}}  best value after this share of the full random   share until that",
        f"{'':{width}}  search's training seconds ({trials} trials)               search's best",
        f"{'search':{width}}  {''.join(f'{share:>9.0%}' for share in _AT)}"
        f"{'is reached':>24}{'seeds':>7}{'trials':>8}{'to end':>8}",
    ]
    for each in ordered:
        reached = sum(share < float("inf") for share in each.shares)
        share = _median(each.shares)
        shown = f"{share:.0%}" if share < float("inf") else "never"
        values = "".join(_value(_best(each, i)) for i in range(len(_AT)))
        started = statistics.median(own.n_started for own in each.replays)
        ended = statistics.median(own.n_finished for own in each.replays)
        lines.append(
            f"{each.strategy.name:{width}}  {values}{shown:>24}{f'{reached}/{seeds}':>7}"
            f"{started:>8.0f}{ended:>8.0f}"
        )
    rules = {each.strategy.scheduler for each in compared}
    epochs = sorted({e for rule in rules for e in rule.decision_epochs(recorded.max_epochs)})
    found = rank_correlations(finals(recorded.curves), epochs)
    if found:
        taus = ", ".join(f"{each.tau:.2f} at epoch {each.epoch}" for each in found)
        lines += ["", f"Early to final order of trials (Kendall tau): {taus}"]
        text = warning_of(found)
        lines += [f"warning: {text}"] if text else []
    return lines


def _best(compared: "Comparison", index: int) -> float:
    return _median([best[index] for best in compared.best])


def _median(values: "Sequence[float]") -> float:
    return statistics.median_low(values)


def _value(value: float) -> str:
    return f"{value:>9.4f}" if value > float("-inf") else f"{'-':>9}"
