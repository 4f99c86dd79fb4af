"""Pre-trains on Beijing with SimSiam and spatiotemporal pairs (SCL: the nearest other site at the same time)."""

from model_utils.cli.command import run_script
from model_utils.cli.verbs import PRETRAIN

if __name__ == "__main__":
    run_script(PRETRAIN, city="Beijing", method="SimSiam", pairs="spatiotemporal")
