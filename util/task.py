"""Which task of which cluster this process is, read from flags or TF_CONFIG, and whom it can reach."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from util.errors import ClusterError, UsageError

JOBS = ("chief", "worker", "ps")
FLAGS = {"chief": "--chief_host", "worker": "--worker_hosts", "ps": "--ps_hosts"}
PROBE_SECONDS = 2.0  # within which a host that is there answers

Hosts = dict[str, list[str]]  # addresses HOST:PORT by job


@dataclasses.dataclass(frozen=True)
class Task:
    """A process and the cluster it belongs to.

    With parameter servers training is asynchronous and one task coordinates it: the chief, or worker 0 where no chief
    is named. Without them the workers train in step, and worker 0 is the chief.

    Attributes:
        job: `chief`, `worker` or `ps`; empty for a process on its own.
        index: its number in the job.
        hosts: the addresses of all tasks by job; empty for a process on its own.
    """

    job: str = ""
    index: int = 0
    hosts: Hosts = dataclasses.field(default_factory=dict)

    @classmethod
    def from_flags(cls, values: Mapping[str, Any], environment: Mapping[str, str]) -> Task:
        """Return the task that the cluster flags describe, or where there are none TF_CONFIG.

        Raises:
            UsageError: they contradict each other.
        """
        lists = {job: values[flag.lstrip("-")] for job, flag in FLAGS.items()}
        hosts = {job: [address.strip() for address in text.split(",")] for job, text in lists.items() if text.strip()}
        job, index = values["job_name"].lower(), values["task_index"]
        if not hosts and job in ("", "localhost"):
            job, index, hosts = _read_tf_config(environment.get("TF_CONFIG", ""))
        if not hosts and not job:
            return cls()
        _check_hosts(hosts, job)
        if not 0 <= index < len(hosts[job]):
            raise UsageError(f"There is no {job} {index}: the cluster has {len(hosts[job])}, counted from 0; give every"
                             " task its own --task_index.")  # fmt: skip
        return cls(job, index, hosts) if sum(map(len, hosts.values())) > 1 else cls()

    @property
    def is_asynchronous(self) -> bool:
        """Whether there are parameter servers."""
        return "ps" in self.hosts

    @property
    def is_chief(self) -> bool:
        """Whether this process logs, saves, tests and exports."""
        return not self.hosts or (self.job, self.index) == self.chief

    @property
    def only_serves(self) -> bool:
        """Whether this process lends itself to a chief that does everything else."""
        return self.is_asynchronous and not self.is_chief

    @property
    def chief(self) -> tuple[str, int]:
        """Job and index of the task that does."""
        return ("chief" if "chief" in self.hosts else "worker"), 0

    @property
    def chief_address(self) -> str:
        """Where it listens."""
        return self.hosts[self.chief[0]][0]

    @property
    def address(self) -> str:
        """Where this task listens."""
        return self.hosts[self.job][self.index]

    def others(self) -> Iterator[tuple[str, str]]:
        """Name every other task, as in `worker 1`, with its address."""
        for job, addresses in self.hosts.items():
            for index, address in enumerate(addresses):
                if (job, index) != (self.job, self.index):
                    yield f"{job} {index}", address

    def silent(self) -> list[str]:
        """Return the other tasks that cannot be reached at the moment, as in `worker 1 (10.0.0.2:3000)`."""
        return [f"{name} ({address})" for name, address in self.others() if not is_listening(address)]

    def listen(self, listen_host: str = "") -> socket.socket:
        """Listen on this task's address, in place of the server that is still to be started.

        Args:
            listen_host: the interface, where that is not the host of its address.

        Raises:
            ClusterError: the port is in use, or the address is not of this machine.
        """
        host, port = split_address(self.address)
        host = listen_host or host
        name = f"{self.job} {self.index}"
        try:
            family, place = resolve(host, port)
            return socket.create_server(place[:2], family=family, backlog=1024)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise ClusterError(
                    f"Port {port} of {host}, where {name} should listen, is in use: perhaps by an earlier run, or by"
                    " another process with this --job_name and --task_index; end it, or name another port on every"
                    " task."
                ) from error
            raise ClusterError(
                f"{name} cannot listen on {host}:{port} ({reason}): start it on that host, mend its --task_index"
                " or its address, or behind a translated address give --listen_host."
            ) from error


def count_cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(host: str, port: int | None = None) -> tuple[int, tuple[Any, ...]]:
    """Return family and socket address of a host to listen on: its first, IPv4 before IPv6.

    Raises:
        socket.gaierror: the name has no address.
    """
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, place = min(entries, key=lambda entry: entry[0] != socket.AF_INET)
    return family, place


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_listening(address: str) -> bool:
    """Tell whether somebody answers at an address."""
    try:
        socket.create_connection(split_address(address), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _read_tf_config(text: str) -> tuple[str, int, Hosts]:
    """Read TensorFlow's environment variable: job, index and hosts; three empty ones where there is none."""
    try:
        config = json.loads(text or "{}")
        lists = {job: addresses for job, addresses in config.get("cluster", {}).items() if addresses}
        if strays := [addresses for addresses in lists.values() if not isinstance(addresses, list)]:
            raise ValueError(f"{strays[0]!r} is no list")
        hosts = {job: list(map(str, addresses)) for job, addresses in lists.items()}
        task = config.get("task", {})
        return str(task.get("type", "")).lower() if hosts else "", int(task.get("index", 0)), hosts
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f'TF_CONFIG is not what TensorFlow defines ({error}): {{"cluster": {{"worker": ["HOST:PORT", ..]}},'
            ' "task": {"type": "worker", "index": 0}}; mend it, unset it, or give --worker_hosts.'
        ) from error


def _check_hosts(hosts: Hosts, job: str) -> None:
    if unknown := sorted(set(hosts) - set(JOBS)):
        raise UsageError(f"TF_CONFIG names the job '{unknown[0]}': a cluster has the jobs chief, worker and ps.")
    if "worker" not in hosts:
        raise UsageError("There are no workers: give --worker_hosts (or in TF_CONFIG worker), the same on every task.")
    if job not in JOBS:
        raise UsageError(f"Which task of the cluster is this? Found '{job}': give --job_name worker, ps or chief and"
                         " its --task_index, or in TF_CONFIG the task's type and index.")  # fmt: skip
    if job not in hosts:
        raise UsageError(f"This is {job}, and the cluster has none: give {FLAGS[job]} (or in TF_CONFIG {job}), the same"
                         " on every task.")  # fmt: skip
    if "chief" in hosts and (len(hosts["chief"]) > 1 or "ps" not in hosts):
        raise UsageError("One chief coordinates parameter servers: with --chief_host give one address, and --ps_hosts;"
                         " without parameter servers worker 0 is the chief.")  # fmt: skip
    addresses = [address for group in hosts.values() for address in group]
    for address in addresses:
        if not _is_address(address):
            raise UsageError(
                f"'{address}' is no address of a task: give HOST:PORT, as in 10.0.0.2:3000 or [fd00::2]:3000."
            )
        if addresses.count(address) > 1:
            raise UsageError(f"Two tasks have the address {address}: every task needs its own.")


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    if not host.strip("[]") or (":" in host and not in_brackets):  # an IPv6 host without brackets, or a URL
        return False
    try:
        host.encode("idna")  # as the system will, for which 10.0.0..2 is an error of another kind
    except UnicodeError:
        return False
    return port.isascii() and port.isdecimal() and 0 < int(port) < 65536
