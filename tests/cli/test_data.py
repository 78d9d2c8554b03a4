"""What the data of a settings file are like, as the commands tell it."""

import html.parser

import pytest

from hbpr.cli.main import cli, run

CLICKS = "user;item;at\n" + "".join(
    f"u{k % 9};i{k * k % 7};2024-01-{k % 28 + 1:02d}\n" for k in range(60)
)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clicks.csv").write_text(CLICKS + ";i1;2024-01-01\n")
    path = tmp_path / "shop.yaml"
    path.write_text(
        "data: {source: table, name: Ann's <shop>, table: {path: clicks.csv, delimiter: ';', "
        "time: at}}\n"
    )
    return str(path)


def test_describe_prints_what_there_is(shop, capsys, caplog):
    assert run(cli, ["data", "describe", shop]) == 0
    lines = dict(
        line.strip().split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line
    )
    said = {name: text.strip() for name, text in lines.items()}
    assert (said["users"], said["items"]) == ("9", "4")
    assert said["positives"].startswith("36 (density 100.000%)")
    assert "median 4" in said["positives of a user"]
    assert said["times"] == "2024-01-01 00:00 to 2024-01-25 00:00"
    assert said["left out"] == "1 without user, 24 repeated"
    assert "61 rows, 36 positives; left out: 1 without user, 24 repeated" in caplog.text


def test_the_page_is_whole_and_safe(shop, capsys, tmp_path):
    assert run(cli, ["data", "describe", shop, "--html", "shop.html"]) == 0
    assert "wrote shop.html" in capsys.readouterr().err
    page = (tmp_path / "shop.html").read_text(encoding="utf-8")
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    parser.feed(page)
    assert found.count("svg") == found.count("figure") == 3  # degrees of both sides, and times
    assert "<shop>" not in page
    assert "Ann&#x27;s &lt;shop&gt;" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched


def test_check_reads_no_data_unless_it_is_asked_to(shop, capsys, tmp_path):
    assert run(cli, ["config", "check", shop, "--data"]) == 0
    out = capsys.readouterr().out
    assert "ok, one training run on table Ann's <shop>" in out
    assert "positives of an item" in out
    (tmp_path / "clicks.csv").unlink()
    assert run(cli, ["config", "check", shop]) == 0
    assert run(cli, ["config", "check", shop, "--data"]) == 2
    assert "clicks.csv: no such file" in capsys.readouterr().err


def test_a_wrong_column_is_one_message(shop, capsys):
    override = "data.table.user=nobody"
    for command in (["data", "describe", shop], ["config", "check", shop, "--data"]):
        assert run(cli, [*command, "--set", override]) == 2
        err = capsys.readouterr().err
        assert "there is no column 'nobody'; the columns are 'user', 'item', 'at'" in err
        assert "Traceback" not in err
