"""The description of a study's run in MLflow: what its page says first, in Markdown."""

from dashboards import words
from hbpr.settings.load import dotted
from hbpr.tracking.records import StudyRecord
from hbpr.tracking.run_log import as_text


def study_note(record: StudyRecord) -> str:
    """Return the winner, what to know of it first, and all metrics beside the baselines'."""
    winner = record.winner
    if winner is None:
        return ""
    chance = words.chance_line(winner)
    first = [*words.verdict_lines(record), *([chance] if chance else [])]
    lines = [f"**{line}**\n" for line in first]
    lines += [f"**Best: trial {winner.number}**, {record.metric} = {winner.value:.4f}", ""]
    lines += [f"- `{key}`: {as_text(value)}" for key, value in dotted(winner.values).items()]
    heads, rows = words.metric_heads(record), words.metric_rows(record)
    if rows:
        titles = ["metric", *(f"{part} {who}" for part, who in heads)]
        lines += ["", f"| {' | '.join(titles)} |", f"|---|{'---:|' * len(heads)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
