"""`pm25 <verb>`: finds the verb and hands over."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from model_utils.cli.verbs import VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words == ["--version"]:
        from model_utils.configuration import package_version

        print(f"pm25 {package_version()}")
        return 0
    if len(words) > 1 and " ".join(words[:2]) in VERBS:  # 'fetch readings'
        words[:2] = [" ".join(words[:2])]
    if words[0] not in VERBS:
        of_two = [verb for verb in VERBS if verb.startswith(f"{words[0]} ")]
        if of_two and words[1:] in ([], ["-h"], ["--help"]):
            print(_overview(of_two))
            return 0
        found = " ".join(words[:2]) if of_two else words[0]
        print(f"pm25: found verb {found!r}, expected one of {', '.join(of_two or VERBS)}", file=sys.stderr)
        return 2
    from model_utils.cli.command import execute

    return execute(VERBS[words[0]], words[1:])


def _overview(verbs: Iterable[str] = tuple(VERBS)) -> str:
    lines = ["usage: pm25 <verb> [flags]      pm25 <verb> --help lists the flags of a verb      pm25 --version", ""]
    lines += [f"  {verb:<15} {VERBS[verb].summary}" for verb in verbs]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
