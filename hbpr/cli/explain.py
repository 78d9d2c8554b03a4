"""`hbpr explain`: what a setting does, and the page of all of them."""

import importlib
import importlib.util
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hbpr.errors import ConfigError
from hbpr.hidden import check_not_hidden

if TYPE_CHECKING:
    from hbpr.settings.base import Settings
    from hbpr.settings.explain import Setting, Variant

_WIDTH: Final = 96
_HEADING: Final = """\
# All settings

Written by `hbpr explain -o docs/settings.md` from what checks them; `hbpr explain KEY` shows one in
the terminal. A setting stands at its dotted key in a study file, or on the command line as
`--set KEY=VALUE`. What a trial may have under `data`, `model`, `optimizer` and `training` can be
searched by that key under `sweep.space`.
"""


def _keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the settings that a shell may complete to."""
    from hbpr.settings.explain import all_settings

    return [key for key in all_settings(_schema()) if key.startswith(incomplete)]


@click.command(
    epilog="""\b
Examples:
  hbpr explain                              # the sections
  hbpr explain training.negatives           # the settings of one
  hbpr explain optimizer.lr                 # one setting
  hbpr explain temperature                  # by its last name
  hbpr explain -o settings.md               # all of them, as a page
""",
)
@click.argument("key", required=False, shell_complete=_keys)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write all settings to, as Markdown.",
)
def explain(key: str | None, output: Path | None) -> None:
    """Say what the setting KEY does: its type, default, bounds, and which kinds have it."""
    from hbpr.settings.explain import all_settings

    settings = all_settings(_schema())
    if output is not None:
        if key is not None:
            raise click.UsageError("-o writes all settings; leave KEY out")
        output.write_text(page(settings), encoding="utf-8")
        click.echo(f"wrote {output}", err=True)
        return
    found = (
        find(settings, key) if key else [each for name, each in settings.items() if "." not in name]
    )
    if len(found) == 1 and (not found[0].is_section or len(found[0].variants) > 1):
        click.echo("\n".join(_whole(found[0])))
        return
    for each in found:
        click.echo("\n".join(_line(each)))


def _schema() -> "type[Settings]":
    """Return the schema of a study where the search is installed, else of one training."""
    from hbpr.settings import TrialSettings

    if not importlib.util.find_spec("tune"):
        return TrialSettings
    check_not_hidden("tune")
    found: type[Settings] = importlib.import_module("tune.settings").StudySettings
    return found


def find(settings: "Mapping[str, Setting]", key: str) -> "list[Setting]":
    """Return a setting by its key; of a section, what it holds; of a last name, all that have it.

    Raises:
        ConfigError: Nothing has that name; the nearest is given.
    """
    from hbpr.words import did_you_mean

    name = key.strip().strip(".").removeprefix("sweep.space.")
    if name in settings:
        below = [each for k, each in settings.items() if k.rpartition(".")[0] == name]
        return below or [settings[name]]
    ends = [each for k, each in settings.items() if k.endswith(f".{name}")]
    if len(ends) == 1 and ends[0].is_section:
        return find(settings, ends[0].key)
    if ends:
        return ends
    by_last = {k.rpartition(".")[2]: k for k in settings}
    hint = did_you_mean(name, settings) or did_you_mean(
        name.rpartition(".")[2], by_last, " All sections: hbpr explain", shown=by_last.__getitem__
    )
    raise ConfigError(f"explain: no setting is called {key!r}.{hint}")


def _line(setting: "Setting") -> Iterator[str]:
    """Yield a setting on a line, with its description below."""
    first = setting.variants[0]
    about = "section" if setting.is_section else _facts(first)
    yield f"{setting.key}  ({about})"
    yield from textwrap.wrap(
        _first_words(setting), _WIDTH, initial_indent="    ", subsequent_indent="    "
    )


def _first_words(setting: "Setting") -> str:
    kinds = sorted({kind for each in setting.variants for kind in each.kinds})
    words = setting.variants[0].description
    return f"{words} Kinds: {', '.join(kinds)}." if kinds else words


def _facts(variant: "Variant") -> str:
    parts = [variant.type, variant.bounds, f"default {variant.default}" if variant.default else ""]
    return "; ".join(part for part in parts if part).replace("default required", "required")


def _whole(setting: "Setting") -> Iterator[str]:
    """Yield all that is known of one setting."""
    yield setting.key
    for each in setting.variants:
        if each.kinds:
            yield f"  of kind {', '.join(each.kinds)}"
        rows = {
            "type": each.type,
            "default": each.default,
            "bounds": each.bounds,
            "what": each.description,
        }
        for name, words in rows.items():
            if words:
                yield from textwrap.wrap(
                    words, _WIDTH, initial_indent=f"    {name:<8} ", subsequent_indent=" " * 13
                )
    if not setting.is_section:
        default = setting.variants[0].default
        example = default if default not in ("", "required", "left out", "none") else "VALUE"
        yield f"  on the command line: --set {setting.key}={example}"


def page(settings: "Mapping[str, Setting]") -> str:
    """Return all settings as Markdown, a table for each section."""
    lines = [_HEADING]
    for name, section in settings.items():
        below = [each for k, each in settings.items() if k.rpartition(".")[0] == name]
        if not below:
            continue
        words = [each.description for each in section.variants]
        lines += [f"## `{name}`", "", *words[:1], ""]
        lines += ["| setting | type | default | what it does |", "|---|---|---|---|"]
        for each in below:
            lines += _rows(each)
        lines.append("")
    return "\n".join(lines)


def _rows(setting: "Setting") -> Iterator[str]:
    name = setting.key.rpartition(".")[2]
    if setting.is_section:
        anchor = setting.key.replace(".", "").lower()
        yield f"| `{name}` | [section](#{anchor}) | | {_cell(setting.variants[0].description)} |"
        return
    for each in setting.variants:
        kinds = f" ({', '.join(each.kinds)})" if each.kinds else ""
        about = "; ".join(part for part in (each.type, each.bounds) if part)
        default = (
            f"`{each.default}`"
            if each.default not in ("", "left out", "required")
            else each.default
        )
        yield f"| `{name}`{kinds} | {_cell(about)} | {_cell(default)} | {_cell(each.description)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
