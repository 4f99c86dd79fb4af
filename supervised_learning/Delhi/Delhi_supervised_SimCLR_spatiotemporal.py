"""Fits PM2.5 of Delhi from an encoder pre-trained with SimCLR and spatiotemporal pairs."""

from model_utils.cli.command import run_script
from model_utils.cli.verbs import PAPER_EXPERIMENT

if __name__ == "__main__":
    run_script(PAPER_EXPERIMENT, city="Delhi", start="SimCLR_spatiotemporal")
