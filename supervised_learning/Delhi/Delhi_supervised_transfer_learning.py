"""Fits PM2.5 of Delhi from ImageNet weights."""

from model_utils.cli.command import run_script
from model_utils.cli.verbs import PAPER_EXPERIMENT

if __name__ == "__main__":
    run_script(PAPER_EXPERIMENT, city="Delhi", start="transfer_learning")
