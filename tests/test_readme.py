"""The README's commands exist and take the flags it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from model_utils.cli.command import parse
from model_utils.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 10


def test_your_own_city_is_six_commands_in_their_order():
    block = next(block for block in BLOCKS if "--scenes" in block)
    assert [line.split()[1] for line in block.splitlines()] == [
        "prepare",
        "inspect",
        "pretrain",
        "supervise",
        "map",
        "compare",
    ]
    assert len({re.findall(r"--city (\w+)", line)[0] for line in block.splitlines()}) == 1


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_real(line):
    program, *words = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program.endswith("python"):
        assert (ROOT / words[0]).is_file()
    else:
        assert program == ".venv/bin/pm25"
        count = 1 if words[0] in VERBS else 2  # such as `fetch readings`
        parse(VERBS[" ".join(words[:count])], words[count:], {}, "pm25")


def test_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    local = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")]
    assert len(local) >= 3
    assert all((ROOT / target).exists() for target in local)
