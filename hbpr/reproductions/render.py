"""A measured row as text for the terminal and as a section of the report in Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hbpr.names import parse_metric_name
from hbpr.reproductions.row import Band, Figures, Order, Result
from hbpr.settings.models import TrialSettings

Table = list[list[str]]


def to_text(result: Result) -> str:
    """Return the result as lines for a terminal."""
    row = result.row
    parts = [
        f"{row.name}: {row.title}",
        _aligned(_comparison(result)),
        "\n".join(_bar_lines(result)),
        "\n".join(f"{figures.label}: {_about(figures)}" for figures in result.figures),
        "\n".join(
            [
                "sources:",
                *(f"  {published.label}: {published.source}" for published in row.published),
            ]
        )
        if row.published
        else "",
    ]
    return "\n\n".join(part for part in parts if part)


def to_markdown(result: Result, *, plot: str | None = None) -> str:
    """Return the row's section of the report, from its heading on.

    Args:
        result: The measured row.
        plot: Path of its figure, relative to the report.
    """
    row = result.row
    parts = [
        f"## {row.name}",
        f"{row.title}.",
        row.protocol.strip(),
        f"![{row.title}]({plot})" if plot else "",
        _pipes(_comparison(result)),
        "\n".join(f"- {line}" for line in _bar_lines(result)),
        "Each seed:",
        _pipes(_each_seed(result)),
        "\n".join(f"- {figures.label}: {_about(figures)}." for figures in result.figures),
        "Sources:\n\n"
        + "\n".join(f"- {published.label}: {published.source}" for published in row.published)
        if row.published
        else "",
        f"Settings, chosen on validation ([configs/reproductions/{row.name}.yaml]"
        f"(../configs/reproductions/{row.name}.yaml) says how, and holds a search that chooses "
        "again; what is not named has its default):",
        f"```yaml\n{_changed(result.settings)}```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def put_section(report: str, name: str, section: str, order: Sequence[str]) -> str:
    r"""Return a report with one row's section put in, or replaced.

    Args:
        report: The report; sections of rows begin with ``## NAME``.
        name: The row.
        section: Its section, heading included.
        order: All rows in the order of the report.

    Example:
        >>> put_section("# R\n\n## b\n\nold\n", "a", "## a\n\nnew\n", ["a", "b"])
        '# R\n\n## a\n\nnew\n\n## b\n\nold\n'
    """
    head, sections = _taken_apart(report, order)
    sections[name] = section.rstrip("\n")
    kept = [sections[each] for each in order if each in sections]
    return "\n\n".join([head, *kept]) + "\n"


def _taken_apart(report: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return what precedes the first row's section, and the sections by row."""
    head: list[str] = []
    sections: dict[str, list[str]] = {}
    lines = head
    for line in report.splitlines():
        if line.startswith("## ") and line[3:] in names:
            lines = sections.setdefault(line[3:], [])
        lines.append(line)
    return "\n".join(head).strip("\n"), {
        name: "\n".join(found).strip("\n") for name, found in sections.items()
    }


def short_name(metric: str) -> str:
    """Return a metric's name as papers write it.

    Example:
        >>> short_name("test/recall_at_20"), short_name("test/auc")
        ('recall@20', 'auc')
    """
    name = parse_metric_name(metric)
    return name.metric if name.k is None else f"{name.metric}@{name.k}"


def mean_and_deviation(figures: Figures, metric: str) -> str:
    """Return ``.3101 ± .0008``, or the single figure."""
    deviation = figures.deviation(metric)
    spread = "" if deviation is None else f" ± {_number(deviation)}"
    return f"{_number(figures.mean(metric))}{spread}"


def _comparison(result: Result) -> Table:
    metrics = result.row.metrics
    rows = [["", *(short_name(metric) for metric in metrics), "seeds"]]
    for figures in result.figures:
        cells = [
            mean_and_deviation(figures, metric) if metric in figures.values else ""
            for metric in metrics
        ]
        rows.append([f"here: {figures.label}", *cells, str(len(figures.seeds) or "none needed")])
    for published in result.row.published:
        cells = [
            _plain(published.values[metric]) if metric in published.values else ""
            for metric in metrics
        ]
        rows.append([f"published: {published.label}", *cells, ""])
    return rows


def _each_seed(result: Result) -> Table:
    rows = [["", "seed", *(short_name(metric) for metric in result.row.metrics)]]
    for figures in result.figures:
        for k, seed in enumerate(figures.seeds):
            cells = [
                _number(figures.values[metric][k]) if metric in figures.values else ""
                for metric in result.row.metrics
            ]
            rows.append([figures.label, str(seed), *cells])
    return rows


def _bar_lines(result: Result) -> list[str]:
    by_label = {figures.label: figures for figures in result.figures}
    return [
        f"{'met' if met else 'MISSED'}: {_bar(bar, by_label)}"
        + (f" ({bar.why})" if bar.why else "")
        for bar, met in result.judged
    ]


def _bar(bar: Band | Order, figures: dict[str, Figures]) -> str:
    metric = short_name(bar.metric)
    if isinstance(bar, Order):
        above = f"at most {_plain(bar.ties)} below" if bar.ties else "above"
        if bar.lead:
            above = f"at least {100 * bar.lead:.2g} % above"
        return (
            f"{metric} of {bar.higher}, {mean_and_deviation(figures[bar.higher], bar.metric)}, "
            f"{above} that of {bar.lower}, {mean_and_deviation(figures[bar.lower], bar.metric)}"
        )
    ends = [
        f"{word} {_plain(end)}"
        for word, end in (("at least", bar.low), ("at most", bar.high))
        if abs(end) != float("inf")
    ]
    found = mean_and_deviation(figures[bar.method], bar.metric)
    return f"{metric} of {bar.method}, {found}, {' and '.join(ends)}"


def _about(figures: Figures) -> str:
    prints = [each[:16] for each in figures.fingerprints or (figures.fingerprint,)]
    described = [
        f"split {figures.split}",
        f"fingerprint{'s' if len(prints) > 1 else ''} {', '.join(prints)}",
        f"ranked among {figures.candidates}",
        figures.note,
    ]
    return "; ".join(part for part in described if part)


def _changed(settings: TrialSettings) -> str:
    """Return the settings that are not at their defaults, as YAML; records are left out."""
    values: dict[str, Any] = settings.model_dump(
        mode="json", exclude_defaults=True, exclude={"mlflow"}
    )
    text: str = yaml.safe_dump(values, sort_keys=False)
    return text


def _number(value: float) -> str:
    return _plain(round(value, 4), digits=4)


def _plain(value: float, digits: int | None = None) -> str:
    """Without the zero before the point, as tables of metrics are written."""
    text = f"{value:g}" if digits is None else f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _pipes(rows: Table) -> str:
    if len(rows) < 2:
        return "no randomness, so no seeds"
    align = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], align, *rows[1:]))


def _aligned(rows: Table) -> str:
    widths = [max(len(cells[k]) for cells in rows) for k in range(len(rows[0]))]
    lines = []
    for cells in rows:
        first, *others = cells
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)


#: The report's beginning, where there is none yet.
_HEAD = """# Reproductions

Published results, measured again with hbpr. Each section is written by

    hbpr reproduce NAME --output docs

and `hbpr reproduce --list` names the rows. Settings were chosen on validation; each model is
trained with seeds that the search did not use, and scored on test once. `±` is the standard
deviation over the seeds (n - 1). A fingerprint is the beginning of the SHA-256 of the data and the
split: figures with different fingerprints do not compare. A bar that was missed is said to be."""


def write_report(result: Result, folder: Path, order: Sequence[str]) -> Path:
    """Write a row's section into ``folder/reproductions.md``, and its figure beside it.

    Sections of other rows stay as they are.

    Args:
        result: The measured row.
        folder: Made if it does not exist.
        order: All rows in the order of the report.

    Returns:
        The report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plot = None
    if result.row.plot is not None:
        plot = f"reproductions/{result.row.name}.png"
        (folder / plot).parent.mkdir(exist_ok=True)
        result.row.plot(result, folder / plot)
    path = folder / "reproductions.md"
    before = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    section = to_markdown(result, plot=plot)
    path.write_text(put_section(before, result.row.name, section, order), encoding="utf-8")
    return path
