"""Pre-trains on Delhi with SimSiam and regular pairs (two views of one tile)."""

from model_utils.cli.command import run_script
from model_utils.cli.verbs import PRETRAIN

if __name__ == "__main__":
    run_script(PRETRAIN, city="Delhi", method="SimSiam", pairs="regular")
