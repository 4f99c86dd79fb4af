"""A disk that fills up while `pm25 prepare` writes: the line names the file, and no scene is blamed for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from full_disk import no_file_above
from scene_city import contents, last_line, make_root, pixels, run, scene_name, write_scene


@pytest.mark.parametrize("size", [0, 100, 3000, 10_000])
@pytest.mark.parametrize("skip_broken", [False, True])
def test_the_old_archive_stays_and_no_scene_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int, skip_broken: bool
) -> None:
    make_root(tmp_path)
    write_scene(tmp_path, scene_name(1), pixels(1))
    assert run(tmp_path) == 0
    old = contents(tmp_path)
    write_scene(tmp_path, scene_name(2), pixels(2))
    capsys.readouterr()
    with no_file_above(size):
        assert run(tmp_path, "--grid-metres", "200", "--overwrite", *["--skip-broken"] * skip_broken) == 2
    line = last_line(capsys)
    assert line.startswith(f"pm25 prepare: {tmp_path / 'data' / 'Delhi'}/")
    assert line.endswith("file too large")
    assert contents(tmp_path) == old
    hidden = {path.name for path in (tmp_path / "data" / "Delhi").glob(".*")}
    assert hidden == {".verified.json"}
