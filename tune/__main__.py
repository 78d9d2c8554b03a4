"""``python -m tune CONFIG`` does what ``hbpr tune CONFIG`` does; handy as a job on a cluster."""

import logging

from hbpr.cli.main import leave, run
from tune.commands.tune import tune

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    leave(run(tune, prog_name="python -m tune"))
