"""What goes wrong first, told before anything is trained or written."""

import shutil

import pytest

from hbpr.cli.main import cli, run

CLICKS = "user,item,at\n" + "".join(
    f"u{u},i{(u * 7 + k * 3) % 15},{k}\n" for u in range(40) for k in range(5)
)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with a table and its settings; the working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "t.csv").write_text(CLICKS)
    (folder / "shop.yaml").write_text(
        "data: {source: table, name: shop, table: {path: t.csv, time: at}}\n"
        "model: {n_latent: 2}\ntraining: {n_iter: 1, eval_every: 1}\n"
    )
    return folder


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.monitor=test/ndcg_at_10", "must be a validation metric (val/...)"),
        ("mlflow.tracking_uri=./mlruns", "no longer records into plain folders"),
        ("mlflow.tracking_uri=file:///tmp/mlruns", "no longer records into plain folders"),
        ("data.table.delimiter=", "data.table.delimiter"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_check_refuses_what_a_run_refuses(override, said, capsys):
    for command in (["config", "check"], ["train"]):
        assert run(cli, [*command, "shop.yaml", "--set", override]) == 2
        assert said in capsys.readouterr().err


def test_observed_negatives_that_are_not_there(shop, capsys):
    override = "training.negatives.kind=observed"
    assert run(cli, ["train", "shop.yaml", "--set", override]) == 2
    err = capsys.readouterr().err
    assert "draws observed negatives, and the training part has none; use uniform" in err
    assert not (shop / "mlflow.db").exists()


def test_a_delimiter_on_the_command_line(shop, capsys):
    (shop / "t.csv").write_text(CLICKS.replace(",", ";"))
    assert run(cli, ["data", "describe", "shop.yaml"]) == 2
    assert "Set data.table.delimiter to ';'" in capsys.readouterr().err
    assert run(cli, ["data", "describe", "shop.yaml", "--set", "data.table.delimiter=;"]) == 0
    (shop / "t.csv").write_text(CLICKS)
    changed = (shop / "shop.yaml").read_text().replace("time: at", 'time: at, delimiter: ";"')
    (shop / "shop.yaml").write_text(changed)
    assert run(cli, ["data", "describe", "shop.yaml", "--set", "data.table.delimiter=,"]) == 0


def test_the_advice_fits_leave_one_out(shop, caplog):
    (shop / "t.csv").write_text("user,item,at\n" + "".join(f"u{u},i{u},1\n" for u in range(9)))
    override = "data.split.kind=leave_one_out"
    assert run(cli, ["config", "check", "shop.yaml", "--data", "--set", override]) == 0
    assert "nothing is held out for validation" in caplog.text
    assert "Leave one out needs users with two interactions, and three for" in caplog.text
    assert "Raise the part's share" not in caplog.text


def test_one_user_is_singular(shop, caplog):
    rows = [f"u{u},i{k},{k}\n" for u in range(9) for k in range(1 if u else 3)]
    (shop / "t.csv").write_text("user,item,at\n" + "".join(rows))
    override = "data.split.kind=leave_one_out"
    assert run(cli, ["config", "check", "shop.yaml", "--data", "--set", override]) == 0
    assert "only 1 user has an item in the validation part" in caplog.text
    assert "1 users" not in caplog.text
    assert "the only user with an item in the test part has no other candidate" in caplog.text


def test_who_chose_everything_is_told_before_training(shop, capsys, caplog):
    (shop / "t.csv").write_text(
        "user,item,at\n" + "".join(f"u{u},i{k},{k}\n" for u in range(9) for k in range(6))
    )
    assert run(cli, ["train", "shop.yaml"]) == 0  # validation is ranked beside the test items
    assert "has another candidate to rank it among: each chose all 6 items" in caplog.text
    assert "ndcg_at_10" in capsys.readouterr().out
    sweep = "sweep={optimizer.lr: [0.1]}"
    assert run(cli, ["tune", "shop.yaml", "--set", sweep]) == 2
    assert "each chose all 6 items, so it cannot be evaluated" in capsys.readouterr().err
    (shop / "t.csv").write_text((shop / "t.csv").read_text() + "u1,i7,7\nu2,i7,7\nu2,i8,8\n")
    caplog.clear()
    assert run(cli, ["config", "check", "shop.yaml", "--data"]) == 0
    assert "1 of 4 users with an item in the test part have no other candidate" in caplog.text


def test_a_working_directory_that_is_gone(shop, capsys, tmp_path):
    config = shutil.copy(shop / "shop.yaml", tmp_path)
    shutil.rmtree(shop)
    for command in (["config", "check"], ["train"]):
        assert run(cli, [*command, str(config)]) == 2
        assert "the working directory is gone" in capsys.readouterr().err
