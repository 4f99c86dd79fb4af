"""A city for tests of the scene catalogue, and what the catalogue says of a folder."""

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from model_utils.cities import BoundingBox, City
from model_utils.errors import InputError
from model_utils.ingest.products.catalogue import Catalogue, find_scenes
from model_utils.ingest.products.settings import SceneSettings

CITY = City("Delhi", BoundingBox(28.2, 76.8, 29.0, 77.7), "Asia/Kolkata", time(10, 30), ())


def find(folder: Path, **flags: Any) -> Catalogue:
    return find_scenes(folder, SceneSettings(**flags), CITY)


def refusal(folder: Path, **flags: Any) -> str:
    with pytest.raises(InputError) as caught:
        find(folder, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)
