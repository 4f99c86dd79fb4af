"""Which tiles show the ground at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def clear_tiles(samples: pd.DataFrame, max_cloud_fraction: float) -> NDArray[np.bool_]:
    """Rows whose known cloud fraction is at most `max_cloud_fraction`; unknown counts as clear."""
    return ~(samples["cloud_fraction"].to_numpy(np.float64) > max_cloud_fraction)
