"""Fits PM2.5 of Delhi from ImageNet weights."""

from model_utils.cli.command import run_script
from model_utils.cli.verbs import SUPERVISE

if __name__ == "__main__":
    run_script(SUPERVISE, city="Delhi", start="transfer_learning")
