"""Files of the 2022 research code, read without running any code."""
