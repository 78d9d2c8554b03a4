"""Where trials that have not ended keep their state, below a study's folder of checkpoints."""

import shutil
from pathlib import Path


def trial_folder(checkpoints: Path, number: int) -> Path:
    """Return the folder that holds the checkpoints of one trial."""
    return checkpoints / f"trial-{number:05d}"


def checkpoint_at(folder: Path, epoch: int) -> Path:
    """Return where a trial's folder has the checkpoint of an epoch."""
    return folder / f"epoch-{epoch:07d}"


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the last whole checkpoint in a trial's folder; None where it has none."""
    whole = [path for path in folder.glob("epoch-*") if not path.suffix]
    return max(whole, default=None)


def copy_checkpoint(checkpoints: Path, parent: int, epoch: int, number: int) -> None:
    """Put a trial's checkpoint of an epoch where a new trial looks for its own.

    Args:
        checkpoints: Folder of the study's checkpoints.
        parent: Number of the trial that has it.
        epoch: The epoch.
        number: Number of the new trial; whatever it had is removed.
    """
    folder = trial_folder(checkpoints, number)
    shutil.rmtree(folder, ignore_errors=True)
    source = checkpoint_at(trial_folder(checkpoints, parent), epoch)
    shutil.copytree(source, checkpoint_at(folder, epoch))
