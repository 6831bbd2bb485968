"""Run benches, all or those named, and print what they found: python -m benchmarks [names]."""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks import frozen, machine, speed, startup, training
from benchmarks.inputs import ROOT, Inputs, MissingError, recipes
from benchmarks.table import Row, table
from vision.params import Transfer

BENCHES: dict[str, Callable[[Inputs], list[Row]]] = {
    "resnet20": training.resnet20,
    "loop": training.loop,
    "frozen": frozen.frozen,
    "last_layers": frozen.last_layers,
    "speednet": speed.speednet,
    "startup": startup.startup,
    "memory": training.memory,
    "precision": training.precision,
    "cuda": speed.cuda,
}


def main() -> None:
    arguments = _parse()
    inputs = Inputs(arguments.archive, arguments.weights)
    measured_on = machine.describe(inputs)
    rows = [row for name in arguments.names or BENCHES for row in _run(name, inputs)]
    print("\n".join(f"{key}: {words}" for key, words in measured_on.items()), end="\n\n")
    print(table(rows))
    if arguments.json:
        kept = {**measured_on, "rows": [{**asdict(row), "verdict": row.verdict} for row in rows]}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    if any(row.verdict == "failed" for row in rows):
        sys.exit(1)


def _run(name: str, inputs: Inputs) -> list[Row]:
    """A bench's rows; one that says why, where it cannot run here."""
    print(f"{name} ...", file=sys.stderr)
    started = time.perf_counter()
    try:
        rows = BENCHES[name](inputs)
    except MissingError as missing:
        return [Row(name, note=f"{missing}.")]
    except Exception as error:  # the others' figures are not to be lost
        traceback.print_exc()
        return [Row(name, note=f"{type(error).__name__}: {error}", holds=False)]
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return rows


def _parse() -> argparse.Namespace:
    study = recipes()
    frozen = study.models["frozen"]
    assert isinstance(frozen, Transfer)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--archive", type=Path, default=ROOT / study.data.path, help="of CIFAR-10")
    parser.add_argument(
        "--weights", type=Path, default=ROOT / str(frozen.weights), help="of MobileNetV1"
    )
    parser.add_argument("--json", type=Path, help="a file for the figures")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHES):
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    return arguments


if __name__ == "__main__":
    main()
