from pathlib import Path

import pytest

from nearfield_server.config import machine


@pytest.fixture
def write(tmp_path):
    def writer(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return writer


V2 = {"proc/self/cgroup": "0::/\n"}
V1 = {"proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n1:name=systemd:/x\n"}


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"),
    [
        ("max 100000", 8, 8),
        ("400000 100000", 8, 4),
        ("400000 100000", 2, 2),
        ("199999 100000", 8, 1),
        ("250000 100000", 8, 2),
        ("10000 100000", 8, 1),
        ("", 8, 8),
        ("nonsense", 8, 8),
        ("100000 0", 8, 8),
    ],
)
def test_cores_of_cgroup_v2(write, quota, affinity, expected):
    root = write({**V2, "sys/fs/cgroup/cpu.max": quota + "\n"})
    assert machine.effective_cpu_count(root, affinity) == expected


def test_the_tightest_group_above_counts(write):
    root = write(
        {
            "proc/self/cgroup": "0::/kubepods/pod1/box\n",
            "sys/fs/cgroup/kubepods/cpu.max": "800000 100000",
            "sys/fs/cgroup/kubepods/pod1/cpu.max": "150000 100000",
            "sys/fs/cgroup/kubepods/pod1/box/cpu.max": "max 100000",
            "sys/fs/cgroup/kubepods/memory.max": "1000",
            "sys/fs/cgroup/kubepods/pod1/box/memory.max": "max",
        }
    )
    assert machine.cpu_quota(root) == 1.5
    assert machine.memory_limit_bytes(root) == 1000


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("path", ["docker/abc/", ""])
def test_cores_of_cgroup_v1(write, folder, path):
    # The second path: a namespace hides the upper groups, and the mount is the container's own.
    root = write(
        {
            **V1,
            f"sys/fs/cgroup/{folder}/{path}cpu.cfs_quota_us": "300000",
            f"sys/fs/cgroup/{folder}/{path}cpu.cfs_period_us": "100000",
        }
    )
    assert machine.effective_cpu_count(root, 64) == 3


def test_cgroup_v1_without_limits(write):
    root = write(
        {
            **V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(0x7FFFFFFFFFFFF000),
        }
    )
    assert machine.cpu_quota(root) is None
    assert machine.memory_limit_bytes(root) is None


def test_memory_of_cgroup_v1(write):
    root = write({**V1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912"})
    assert machine.memory_limit_bytes(root) == 512 << 20


@pytest.mark.parametrize(("limit", "expected"), [("max", 2 << 20), ("1048576", 1 << 20), ("9999999999", 2 << 20)])
def test_memory_to_fill(write, limit, expected):
    root = write({**V2, "proc/meminfo": "MemTotal:  2048 kB\nMemFree: 1 kB\n", "sys/fs/cgroup/memory.max": limit})
    assert machine.effective_memory_bytes(root) == expected


def test_a_path_that_leads_out_is_not_followed(write):
    root = write({"proc/self/cgroup": "0::/../../x\n", "sys/x/cpu.max": "100000 100000"})
    assert machine.cpu_quota(root) is None


def test_a_machine_without_any_of_it(tmp_path):
    assert machine.effective_cpu_count(tmp_path, 3) == 3
    assert machine.memory_limit_bytes(tmp_path) is None
    assert machine.cpu_flags(tmp_path) == frozenset()
    assert not machine.in_container(tmp_path)


def test_flags_of_both_kinds_of_cpu(write):
    root = write(
        {"proc/cpuinfo": "processor : 0\nflags\t\t: fpu avx2 avx512_vnni sse\n\nprocessor : 1\nflags : amx_int8\n"}
    )
    assert machine.cpu_flags(root) == {"avx2", "avx512_vnni"}
    root = write({"proc/cpuinfo": "Features\t: fp asimd asimddp i8mm\n"})
    assert machine.cpu_flags(root) == {"asimddp", "i8mm"}


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io/token"])
def test_containers_are_known_by_their_marks(write, mark):
    assert machine.in_container(root := write({mark: ""}))
    assert machine.in_kubernetes(root) is ("kubernetes" in mark)


def test_this_machine():
    assert machine.effective_cpu_count() >= 1
