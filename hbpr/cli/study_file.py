"""The text of a study file for a table: settings to start from, each with its reason beside it."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from hbpr.data.guess import Proposal, Roles, Sample
from hbpr.data.text_files import TextForm
from hbpr.settings.start import good_start

#: Texts that YAML reads as they stand; it takes others for numbers, truths or marks.
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*")
_NOT_PLAIN: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"})
_WIDTH: Final = 98
#: Items beyond which a user meets a sample of them, not all.
_MANY_ITEMS: Final = 50_000


def study_file(name: str, sample: Sample, roles: Roles, proposal: Proposal) -> str:
    """Return the text of a study over a table.

    Args:
        name: Of the dataset and the experiment.
        sample: What the table's first rows are like.
        roles: Its columns.
        proposal: What else follows from it.
    """
    lines = [
        *_comment(
            f"A study of {', '.join(sample.paths)}. Its columns were looked at by `hbpr init` "
            f"({_seen(sample)}); what follows is a proposal: correct what is wrong."
        ),
        "#",
        "#   hbpr explain KEY               what a setting does, such as data.split.kind",
        "",
        *_data(name, sample, roles, proposal),
        "",
        *_training(proposal),
        "",
        "mlflow:",
        f"  experiment_name: {text(name)}",
        "  tracking_uri: sqlite:///mlflow.db   # one file in this folder; or http://your-server:5000",
        "",
        *_sweep(proposal),
    ]
    return "\n".join(lines) + "\n"


def text(value: str) -> str:
    """Return a text as YAML reads it back.

    Example:
        >>> text("plays.csv"), text("no"), text("4")
        ('plays.csv', '"no"', '"4"')
    """
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return json.dumps(value, ensure_ascii=False)


def _seen(sample: Sample) -> str:
    rows = "all" if sample.complete else "the first"
    notes = "".join(f"; {note}" for note in sample.notes)
    return f"{rows} {sample.n_rows:,} rows{notes}"


def _comment(words: str, indent: str = "") -> Iterator[str]:
    """Yield a comment as lines that fit."""
    line = f"{indent}#"
    for word in words.split():
        if len(line) + 1 + len(word) > _WIDTH and line != f"{indent}#":
            yield line
            line = f"{indent}#"
        line += f" {word}"
    yield line


def _data(name: str, sample: Sample, roles: Roles, proposal: Proposal) -> Iterator[str]:
    yield "data:"
    yield "  source: table"
    yield f"  name: {text(name)}"
    yield "  table:"
    yield f"    path: {_list(sample.paths) if len(sample.paths) > 1 else text(sample.paths[0])}"
    yield from _form(sample)
    for role in ("user", "item"):
        yield f"    {role}: {text(getattr(roles, role))}    # {roles.why[role]}"
    if roles.value is not None:
        yield f"    value: {text(roles.value)}    # {roles.why['value']}; see rating_threshold"
    if roles.event is not None:
        yield f"    event: {text(roles.event)}    # {roles.why['event']}"
        yield from _comment(_sentence(proposal.why["meaning"]), "    ")
        yield f"    positive_events: {_list(proposal.positive_events)}"
        yield f"    negative_events: {_list(proposal.negative_events)}    # seen and not liked"
    if roles.time is not None:
        yield f"    time: {text(roles.time)}    # {roles.why['time']}"
    yield from _comment(f"Who is rarer is left out: {proposal.why['minimum']}", "    ")
    yield f"    min_per_user: {proposal.minimum}"
    yield f"    min_per_item: {proposal.minimum}"
    others = [each for each in sample.columns if each not in _used(roles)]
    if others:
        yield from _comment(f"Not used: {', '.join(others[:30])}", "    ")
    if proposal.threshold is not None:
        yield from _comment(
            f"At or above: positive; below: observed negative. {proposal.why['meaning']}", "  "
        )
        yield f"  rating_threshold: {proposal.threshold:g}"
    elif roles.event is None:
        yield from _comment(_sentence(proposal.why["meaning"]), "  ")
    yield from _comment(
        f"{_sentence(proposal.why['split'])}. Search and early stopping look at validation; the "
        "rest, test, is scored once.",
        "  ",
    )
    yield f"  split: {_split(proposal.split)}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _used(roles: Roles) -> set[str | None]:
    return {roles.user, roles.item, roles.value, roles.event, roles.time}


def _form(sample: Sample) -> Iterator[str]:
    usual = TextForm()
    if not sample.is_text:
        return
    if not sample.named:
        yield f"    columns: {_list(sample.form.columns or ())}    # the file has no header"
    if sample.form.delimiter != usual.delimiter:
        yield f"    delimiter: {json.dumps(sample.form.delimiter)}"
    if sample.form.encoding != usual.encoding:
        yield f"    encoding: {sample.form.encoding}"
    if sample.form.quote is None:
        yield "    quote: null"


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(text, texts))}]"


def _split(kind: str) -> str:
    if kind == "leave_one_out":
        return "{kind: leave_one_out, seed: 0}"
    return f"{{kind: {kind}, train: 0.8, validation: 0.1, seed: 0}}"


def _training(proposal: Proposal) -> Iterator[str]:
    start = good_start()
    model, rule, training = start.model.model_dump(), start.optimizer, start.training
    yield "model:"
    yield f"  kind: {model['kind']:<22} # hybrid matrix factorization; or neumf"
    yield f"  similarity: {model['similarity']:<16} # the angle between user and item: matters most"
    temperature = model["temperature"] or 0.2  # left out, it is that of the cosine
    yield f"  temperature: {temperature:<15g} # small: the first places of a list alone"
    yield f"  n_latent: {model['n_latent']}"
    yield f"  init_std: {model['init_std'] or 1.0:g}"
    yield ""
    regs = ", ".join(f"{key}: 0" for key in ("reg_user", "reg_positive", "reg_negative"))
    yield f"optimizer: {{name: {rule.name}, lr: {rule.lr or 0.03:g}, {regs}}}"
    yield ""
    yield "training:"
    yield f"  loss_function: {training.loss_function}  # each positive against all items at once"
    yield f"  negatives: {_negatives(proposal)}"
    yield "  n_iter: 60                   # epochs at most; one visits every positive once"
    yield f"  eval_every: {training.eval_every:<16} # epochs between looks at validation"
    yield "  top_k: [10, 20]              # lengths of the lists that are judged"
    patience = training.early_stopping_patience
    yield f"  early_stopping_patience: {patience}   # looks without a new best"
    yield "  seed: 0"


def _negatives(proposal: Proposal) -> str:
    kind = "shared" if proposal.n_items > _MANY_ITEMS else "all"
    why = f"{proposal.n_items:,} items: " + ("a sample" if kind == "shared" else "every one")
    weight = ", observed_weight: 3" if proposal.has_negatives else ""
    more = "; seen and not liked counts as three others" if weight else ""
    return f"{{kind: {kind}{weight}}}    # {why}{more}"


def _sweep(proposal: Proposal) -> Iterator[str]:
    yield "# What is searched. `hbpr train` leaves it out and trains the settings above once."
    yield "sweep:"
    yield "  metric: val/ndcg_at_10"
    yield "  search: {algorithm: tpe, seed: 0}"
    yield "  scheduler: {kind: asha, grace_period: 8, reduction_factor: 3}   # ends weak ones early"
    yield "  num_trials: 16"
    yield "  start_with: [defaults]       # the settings above come first"
    yield "  space:"
    yield "    model.n_latent: [64, 128, 256]                         # one of these"
    yield "    model.temperature: {low: 0.12, high: 0.3}              # a range"
    yield "    optimizer.lr: {low: 1e-2, high: 6e-2, log: true}       # each decade equally likely"
    if proposal.has_negatives:
        yield "    training.negatives.observed_weight: {low: 1.0, high: 8.0, log: true}"
    yield "    training.negatives.mask_positives: [false, true]"
    yield "  resources: {cpu: 1, gpu: 0}  # of one trial; as many run at once as the machine holds"
    yield "  final: {refit: train+validation}"
