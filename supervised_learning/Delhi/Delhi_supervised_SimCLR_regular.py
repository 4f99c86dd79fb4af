"""Fits PM2.5 of Delhi from an encoder pre-trained with SimCLR and regular pairs."""

from model_utils.cli.command import run_script
from model_utils.cli.verbs import SUPERVISE

if __name__ == "__main__":
    run_script(SUPERVISE, city="Delhi", start="SimCLR_regular")
