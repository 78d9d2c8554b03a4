from pathlib import Path

from tune.storage.checkpoints import checkpoint_at, newest_checkpoint, trial_folder


def test_the_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    folder = trial_folder(tmp_path, 3)
    assert newest_checkpoint(folder) is None
    for epoch in (9, 10):
        checkpoint_at(folder, epoch).mkdir(parents=True)
    (folder / "epoch-0000011.partial").mkdir()  # as an earlier version left it
    (folder / ".epoch-0000012-abcd.partial").mkdir()
    assert newest_checkpoint(folder) == checkpoint_at(folder, 10)
