"""The package as a notebook uses it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from map_town import write_town

import model_utils
from model_utils.cli.verbs import DEMO, VERBS

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != DEMO.verb])
def test_every_verb_is_a_function_of_its_typed_config(verb: str) -> None:
    for place in (VERBS[verb].config, VERBS[verb].function):
        module, name = place.split(":")
        assert name in model_utils.__all__
        assert getattr(model_utils, name) is getattr(import_module(module), name)


def test_all_that_is_promised_is_there_and_nothing_else() -> None:
    assert all(getattr(model_utils, name) is not None for name in model_utils.__all__)
    assert set(model_utils._FROM) == set(model_utils.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = model_utils.nothing


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    """With a city that is there in place of the reader's."""
    write_town(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    code, cities = re.subn(r'city="\w+"', 'city="Town", root=root', block)
    code, models = re.subn(r'model="[^"]+"', 'model=root / "model"', code)
    assert (cities, models) == (1, 1)
    clinics = pd.DataFrame({"clinic": ["A", "B"], "latitude": [28.63, 28.64], "longitude": [77.22, 77.23]})
    names = {"root": tmp_path, "clinics": clinics}
    exec(compile(code, str(README), "exec"), names)
    city, said = names["city"], names["said"]
    assert isinstance(city, xr.Dataset)
    assert isinstance(said, pd.DataFrame)
    assert {"pm25_lower", "pm25", "pm25_upper"} <= set(city) & set(said)
    assert list(said["clinic"]) == ["A", "B"] * len(city["time"])
