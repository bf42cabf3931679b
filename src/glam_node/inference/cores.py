"""The number of threads worth using: one per physical core, within the CPU quota of the container."""

import math
import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(topology: Path = _TOPOLOGY, cgroup: Path = _CGROUP) -> int:
    """Return the number of physical cores that this process may use, within its control group's quota; at least 1."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = {_siblings(topology, number) for number in allowed}
    quota = _quota(cgroup)
    return max(1, len(cores) if quota is None else min(len(cores), math.ceil(quota)))


def _siblings(topology: Path, number: int) -> str:
    """Return the list of logical processors that share a core with processor `number`; only `number` if unknown."""
    try:
        return (topology / f"cpu{number}/topology/thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(number)


def _quota(cgroup: Path) -> float | None:
    """Return the number of processors that the control group (version 2, else 1) may use; None if not limited."""
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = ((cgroup / f"cpu/cpu.cfs_{name}_us").read_text(encoding="ascii") for name in _QUOTA_V1)
        except OSError:
            return None
    return None if quota.strip() in {"max", "-1"} else int(quota) / int(period)


_QUOTA_V1 = ("quota", "period")
