"""``python -m tests.fuzz TARGET [SECONDS]``: let atheris look for an input that breaks a target.

The inputs that reach new code collect in ``.fuzz/TARGET``. One that breaks the target is written to
``.fuzz/TARGET-crash-*``: copy it into ``tests/fuzz/corpus/TARGET/``, where the tests run it from then on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["django_websocket"]):
    from tests.fuzz import seeds
    from tests.fuzz.targets import TARGETS


def main() -> None:
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}} [SECONDS]")
    target = sys.argv[1]
    seconds = int(sys.argv[2]) if len(sys.argv) == 3 else 60
    found = Path(".fuzz") / target
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.SEEDS[target]):
        (found / f"seed-{number:02}").write_bytes(seed)
    kept = Path(__file__).parent / "corpus" / target
    kept.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-artifact_prefix=.fuzz/{target}-",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-max_len=2048",
        "-print_final_stats=1",
        str(found),
        str(kept),
    ]
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
