"""The processor, and the number of threads worth using: one per physical core, within the quota of the container."""

import hashlib
import math
import os
import platform
from contextlib import suppress
from pathlib import Path, PurePosixPath

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
CPU_INFORMATION = Path("/proc/cpuinfo")
_FLAGS = ("flags", "Features")
"""Names of the flags of a processor: x86, ARM."""
_IDENTITY = ("cpu family", "model", "model name", "CPU implementer", "CPU variant", "CPU part", *_FLAGS)


def processor_name(cpu_information: Path = CPU_INFORMATION) -> str:
    """Return the name of the processor, or the machine type if the system states no name."""
    return _facts(cpu_information).get("model name") or platform.machine()


def processor_flags(cpu_information: Path = CPU_INFORMATION) -> frozenset[str]:
    """Return the flags of the processor, such as "avx2"; none if the system does not list them."""
    facts = _facts(cpu_information)
    return frozenset(word for name in _FLAGS for word in facts.get(name, "").split())


def processor_identity(cpu_information: Path = CPU_INFORMATION) -> str:
    """Return the name of the processor with a digest of its model and flags."""
    facts = _facts(cpu_information)
    identity = "\n".join(facts.get(name, "") for name in _IDENTITY)
    return f"{processor_name(cpu_information)}, {hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _facts(cpu_information: Path) -> dict[str, str]:
    """Return the facts about the first processor by name; none if the system has no such file."""
    facts: dict[str, str] = {}
    with suppress(OSError):
        for line in cpu_information.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    return facts


def usable_cores(topology: Path = _TOPOLOGY, cgroup: Path = _CGROUP, own_cgroups: Path = _OWN_CGROUPS) -> int:
    """Return the number of physical cores that this process may use, within its control groups' quotas; at least 1."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = {_siblings(topology, number) for number in allowed}
    quotas = [quota for folder in _groups(cgroup, own_cgroups) if (quota := _quota(folder)) is not None]
    return max(1, min([len(cores), *(math.ceil(quota) for quota in quotas)]))


def _siblings(topology: Path, number: int) -> str:
    """Return the list of logical processors that share a core with processor `number`; only `number` if unknown."""
    try:
        return (topology / f"cpu{number}/topology/thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(number)


def _groups(cgroup: Path, own_cgroups: Path) -> set[Path]:
    """Return the control groups, of version 1 and 2, whose quotas hold: those of this process and all above them.

    In a container the own group is usually mounted as the root; under systemd it lies some folders below.
    """
    groups = {cgroup, cgroup / "cpu"}
    with suppress(OSError):
        for line in own_cgroups.read_text(encoding="utf-8", errors="replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "" or "cpu" in controllers.split(","):
                own = PurePosixPath(path.lstrip("/"))
                groups |= {cgroup / ("cpu" if controllers else "") / one for one in (own, *own.parents)}
    return groups


def _quota(group: Path) -> float | None:
    """Return the number of processors that the control group (version 2, else 1) may use; None if not limited."""
    try:
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in _QUOTA_V1)
        except OSError:
            return None
    return None if quota.strip() in {"max", "-1"} else int(quota) / int(period)


_QUOTA_V1 = ("quota", "period")
