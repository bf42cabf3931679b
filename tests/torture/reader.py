"""A process that reads damaged files one after the other, as a worker does: `python -m tests.torture.reader`."""

import json
import random
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.reading import read_dataset, read_mammogram
from tests.torture.mutations import mutated

LARGEST_ADDRESS_SPACE = 6 * 2**30
LONGEST_CASE_S = 10


def main(originals: Path, last_seed: Path, first: int, count: int) -> dict[str, object]:
    """Read `count` cases and return the outcomes; after a crash, `last_seed` contains the seed of that case."""
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_ADDRESS_SPACE, LARGEST_ADDRESS_SPACE))
    files = [[path.read_bytes()] for path in sorted(originals.glob("*.dcm"))]
    case, outcomes, unexpected, slowest = last_seed.with_suffix(".dcm"), Counter[str](), [], 0.0
    for seed in range(first, first + count):
        last_seed.write_text(str(seed))
        case.write_bytes(b"".join(mutated(files, random.Random(seed))))
        started = time.monotonic()
        signal.alarm(LONGEST_CASE_S)
        try:
            outcomes[_read(case)] += 1
        except Exception as error:  # every other error is unexpected
            unexpected.append(f"seed {seed}: {type(error).__name__}: {error}")
        finally:
            signal.alarm(0)
        slowest = max(slowest, time.monotonic() - started)
    last_seed.unlink()
    return {"outcomes": outcomes, "unexpected": unexpected, "slowest_s": slowest}


def _read(path: Path) -> str:
    try:
        mammogram = read_mammogram(read_dataset(path))
    except UnsupportedMammogram:
        return "refused"
    assert mammogram.pixels.any(), "black"
    return "read"


if __name__ == "__main__":
    directory, seed_file, first_seed, how_many = sys.argv[1:]
    print(json.dumps(main(Path(directory), Path(seed_file), int(first_seed), int(how_many))))
