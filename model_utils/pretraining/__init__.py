"""The pre-training stage: one experiment from an archive to encoder weights."""
