"""`python -m tests.simulation --seed N [--trace]`: one run again, with its story; --seeds A-B: many."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.checks import Broken
from tests.simulation.run import Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", default="", metavar="A-B")
    parser.add_argument("--trace", action="store_true", help="print the story line by line")
    parser.add_argument(
        "--only", default="", help="print only the lines that name this sandbox, and Daytona's weather"
    )
    given = parser.parse_args()
    first, _, last = (given.seeds or f"{given.seed or 0}-{given.seed or 0}").partition("-")
    failed, steps, began = 0, 0, time.process_time()
    for seed in range(int(first), int(last) + 1):
        run = Run(seed, _printer(given.only) if given.trace else None)
        try:
            steps += run.to_the_end().steps
        except Broken as broken:
            failed, steps = failed + 1, steps + run.time.steps
            print(f"seed {seed}: {broken}")
    cpu = time.process_time() - began
    print(f"{steps} steps in {cpu:.1f} s of CPU: {steps / max(cpu, 0.001):.0f}/s; {failed} seeds failed")
    return 1 if failed else 0


def _printer(only: str):  # type: ignore[no-untyped-def]
    return lambda line: print(line) if not only or only in line else None


if __name__ == "__main__":
    sys.exit(main())
