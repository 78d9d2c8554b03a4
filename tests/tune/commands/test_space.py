"""`hbpr space show`."""

from hbpr.cli.main import cli, run

CONFIG = """\
sweep:
  num_trials: 7
  constraints: ["model.n_latent * optimizer.lr < 10"]
  start_with: [defaults]
  space:
    model.n_latent: [16, 64]
    optimizer.lr: {low: 0.1, high: 0.5, step: 0.1}
    optimizer.reg_bias: {low: 1e-4, high: 1.0, log: true, when: {model.n_latent: 64}}
"""


def shown(tmp_path, capsys, *overrides):
    path = tmp_path / "x.yaml"
    path.write_text(CONFIG)
    code = run(cli, ["space", "show", str(path), *overrides])
    return code, capsys.readouterr()


def test_a_space_without_a_grid(tmp_path, capsys):
    code, said = shown(tmp_path, capsys)
    assert code == 0
    lines = said.out.splitlines()
    assert lines[0] == "3 dimensions, searched by tpe in 7 trials"
    assert "  optimizer.lr        numbers 0.1 to 0.5 in steps of 0.1" in lines
    assert lines[3].endswith("numbers 0.0001 to 1, log scale, when model.n_latent is 64")
    assert "Grid: none, since there is no step in optimizer.reg_bias" in lines
    samples = lines[lines.index("Sample settings:") + 1 :]
    assert len(samples) == 5
    assert all("model.n_latent=" in sample for sample in samples)


def test_a_grid_is_counted_without_refused_points(tmp_path, capsys):
    space = "sweep.space={model.n_latent: [16, 64], optimizer.lr: [0.1, 0.2, 0.5]}"
    code, said = shown(tmp_path, capsys, "--set", space, "--set", "sweep.start_with=[]")
    assert code == 0
    assert "Grid: 4 points" in said.out


def test_a_wrong_constraint_names_its_line(tmp_path, capsys):
    code, said = shown(tmp_path, capsys, "--set", "sweep.constraints=['model.n_latnt < 3']")
    assert code == 2
    assert "constraints: 'model.n_latnt < 3'" in said.err


def test_what_it_starts_with_is_shown_as_points(tmp_path, capsys):
    (tmp_path / "other.yaml").write_text("model: {n_latent: 64}\noptimizer: {lr: 0.1}\n")
    entries = f"sweep.start_with=[{{optimizer.lr: 0.5}}, {{file: {tmp_path}/other.yaml}}]"
    code, said = shown(tmp_path, capsys, "--set", entries)
    assert code == 0
    starts = [line for line in said.out.splitlines() if line.startswith("  starts with: ")]
    assert starts[0] == "  starts with: optimizer.lr=0.5"
    assert starts[1].startswith("  starts with: model.n_latent=64, optimizer.lr=0.1")


def test_an_earlier_study_that_is_not_there_is_told_at_once(tmp_path, capsys):
    for override in ("start_with=[{best: {study: nowhere}}]", "start_from=[nowhere]"):
        code, said = shown(tmp_path, capsys, "--set", f"sweep.{override}")
        assert code == 2
        assert "nowhere: there is no such folder" in said.err
