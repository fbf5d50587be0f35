"""Which task a process is: what flags and TF_CONFIG say, who is chief, which addresses can be had."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from util.errors import ClusterError, UsageError
from util.task import Task, count_cores, is_listening, split_address

ELSEWHERE = "203.0.113.1"  # an address of documentation (RFC 5737): no machine's
A, B, C, D = (f"10.0.0.{number}:3000" for number in range(2, 6))


def read(tf_config: object = None, **flags: Any) -> Task:
    """Return the task of these flags, the others having their defaults, and of TF_CONFIG, a text or what is in it."""
    defaults = {"worker_hosts": "", "ps_hosts": "", "chief_host": "", "job_name": "localhost", "task_index": 0}
    assert set(flags) <= set(defaults)
    text = tf_config if isinstance(tf_config, str) else json.dumps(tf_config)
    return Task.from_flags({**defaults, **flags}, {} if tf_config is None else {"TF_CONFIG": text})


def refuse(tf_config: object = None, **flags: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read(tf_config, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def config(job: object = "worker", index: object = 0, **cluster: object) -> dict[str, object]:
    return {"cluster": cluster or {"worker": [A, B]}, "task": {"type": job, "index": index}}


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port of 127.0.0.1 on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port(host: str = "127.0.0.1", family: int = socket.AF_INET) -> int:
    with socket.create_server((host, 0), family=family) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            {"ps_hosts": A, "job_name": "ps"},
            "There are no workers: give --worker_hosts (or in TF_CONFIG worker), the same on every task.",
        ),
        ({"job_name": "worker"}, "There are no workers: give --worker_hosts"),
        (
            {"worker_hosts": f"{A},{B}"},
            "Which task of the cluster is this? Found 'localhost': give --job_name worker, ps or chief and its"
            " --task_index, or in TF_CONFIG the task's type and index.",
        ),
        ({"worker_hosts": f"{A},{B}", "job_name": "evaluator"}, "Found 'evaluator': give --job_name worker"),
        (
            {"worker_hosts": f"{A},{B}", "job_name": "ps"},
            "This is ps, and the cluster has none: give --ps_hosts (or in TF_CONFIG ps), the same on every task.",
        ),
        (
            {"worker_hosts": A, "ps_hosts": B, "job_name": "chief"},
            "This is chief, and the cluster has none: give --chief_",
        ),
        (
            {"worker_hosts": f"{A},{B}", "chief_host": C, "job_name": "worker"},
            "One chief coordinates parameter servers: with --chief_host give one address, and --ps_hosts; without"
            " parameter servers worker 0 is the chief.",
        ),
        (
            {"worker_hosts": A, "ps_hosts": B, "chief_host": f"{C},{D}", "job_name": "chief"},
            "with --chief_host give one address",
        ),
        (
            {"worker_hosts": f"{A},{B}", "job_name": "worker", "task_index": 2},
            "There is no worker 2: the cluster has 2, counted from 0; give every task its own --task_index.",
        ),
        ({"worker_hosts": f"{A},{B}", "job_name": "worker", "task_index": -1}, "There is no worker -1"),
        ({"worker_hosts": A, "job_name": "worker", "task_index": 1}, "There is no worker 1: the cluster has 1"),
        (
            {"worker_hosts": A, "ps_hosts": A, "job_name": "ps"},
            f"Two tasks have the address {A}: every task needs its own.",
        ),
        ({"worker_hosts": f"{A}, {A}", "job_name": "worker"}, f"Two tasks have the address {A}"),
    ],
)
def test_flags_that_contradict_each_other(flags: dict[str, Any], sentence: str):
    assert sentence in refuse(**flags)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.2", ":3000", "[]:3000", "10.0.0.2:", "10.0.0.2:x", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0.2:-1", ""),
        *("10.0.0..2:3000", f"{'a' * 64}:3000", "fd00::2:3000", "grpc://10.0.0.2:3000", "10.0.0.2:\uff13"),
    ],
)
def test_what_is_no_address(address: str):
    expected = f"'{address}' is no address of a task: give HOST:PORT, as in 10.0.0.2:3000 or [fd00::2]:3000."
    assert refuse(worker_hosts=f"{A},{address}", job_name="worker") == expected


def test_without_flags_a_process_is_on_its_own():
    for task in (read(), read(""), read({}), read({"task": {"type": "worker", "index": 0}}), read({"cluster": {}})):
        assert task == Task()
        assert task.is_chief
        assert not task.is_asynchronous
        assert not task.only_serves
        assert not list(task.others())


def test_a_cluster_of_one_is_a_process_on_its_own():
    assert read(worker_hosts=A, job_name="worker") == Task()
    assert read(config(worker=[A])) == Task()


def test_workers_in_step():
    workers = [read(worker_hosts=f"{A},{B}", job_name="worker", task_index=index) for index in (0, 1)]
    assert [task.is_chief for task in workers] == [True, False]
    assert [task.address for task in workers] == [A, B]
    for task in workers:
        assert not task.is_asynchronous
        assert not task.only_serves
        assert (task.chief, task.chief_address) == (("worker", 0), A)


def test_parameter_servers_without_a_chief_have_worker_0():
    def task(job: str, index: int) -> Task:
        return read(worker_hosts=f"{A},{B}", ps_hosts=f"{C},{D}", job_name=job, task_index=index)

    roles = [("worker", 0), ("worker", 1), ("ps", 0), ("ps", 1)]
    tasks = [task(*role) for role in roles]
    assert [(task.job, task.index) for task in tasks] == roles
    assert [task.address for task in tasks] == [A, B, C, D]
    assert [task.is_chief for task in tasks] == [True, False, False, False]
    assert [task.only_serves for task in tasks] == [False, True, True, True]
    assert {(task.is_asynchronous, task.chief, task.chief_address) for task in tasks} == {(True, ("worker", 0), A)}


def test_a_chief_that_is_named():
    def task(job: str, index: int = 0) -> Task:
        return read(worker_hosts=f"{A},{B}", ps_hosts=C, chief_host=D, job_name=job, task_index=index)

    tasks = [task("chief"), task("worker", 0), task("worker", 1), task("ps")]
    assert [task.is_chief for task in tasks] == [True, False, False, False]
    assert [task.only_serves for task in tasks] == [False, True, True, True]
    assert {(task.chief, task.chief_address) for task in tasks} == {(("chief", 0), D)}
    assert sorted(tasks[1].others()) == [("chief 0", D), ("ps 0", C), ("worker 1", B)]


def test_spaces_and_capitals_do_not_matter():
    task = read(worker_hosts=f"{A}, {B} ", job_name="Worker", task_index=1)
    assert (task.job, task.address) == ("worker", B)
    assert read(worker_hosts=" ") == Task()


def test_tf_config():
    task = read({**config("Chief", chief=[A], worker=[B, C], ps=[D]), "environment": "cloud"})
    assert task == read(chief_host=A, worker_hosts=f"{B},{C}", ps_hosts=D, job_name="chief")
    assert read(config(index="1")) == read(worker_hosts=f"{A},{B}", job_name="worker", task_index=1)
    assert not read(config(worker=[A, B], ps=[], chief=[])).is_asynchronous


def test_flags_win_over_tf_config():
    task = read(config(worker=[C, D], job="worker", index=1), worker_hosts=f"{A},{B}", job_name="worker")
    assert (task.address, task.index) == (A, 0)
    assert "Found 'localhost'" in refuse(config(), worker_hosts=f"{A},{B}")
    assert "There are no workers" in refuse(config(), job_name="worker")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{", "Expecting"),
        ("worker", "Expecting value"),
        ("[]", "list"),
        ('"worker"', "str"),
        ({"cluster": [A, B]}, "list"),
        ({"cluster": None}, "None"),
        ({"cluster": {"worker": [A, B]}, "task": "worker"}, "str"),
        (config(worker=A), f"'{A}' is no list"),
        (config(worker={"0": A, "1": B}), "is no list"),
        (config(worker=7), "7 is no list"),
        (config(index="first"), "first"),
        (config(index=None), "None"),
    ],
    ids=str,
)
def test_a_broken_tf_config(broken: object, reason: str):
    sentence = refuse(broken)
    assert sentence.startswith("TF_CONFIG is not what TensorFlow defines (")
    assert reason in sentence
    assert sentence.endswith("mend it, unset it, or give --worker_hosts.")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            config(worker=[A], evaluator=[B]),
            "TF_CONFIG names the job 'evaluator': a cluster has the jobs chief, worker",
        ),
        (config("ps", ps=[A, B]), "There are no workers"),
        (
            {"cluster": {"worker": [A, B]}},
            "Found '': give --job_name worker, ps or chief and its --task_index, or in TF_",
        ),
        (config("evaluator"), "Found 'evaluator'"),
        (config("ps"), "This is ps, and the cluster has none"),
        (config("chief", chief=[A], worker=[B]), "without parameter servers worker 0 is the chief"),
        (config("chief", chief=[A, B], worker=[C], ps=[D]), "One chief"),
        (config(index=2), "There is no worker 2: the cluster has 2"),
        (config(worker=[A, "here"]), "'here' is no address"),
        (config(worker=[A, 3000]), "'3000' is no address"),
        (config(worker=[A, A]), "Two tasks have the address"),
    ],
    ids=str,
)
def test_a_tf_config_that_contradicts_itself(wrong: object, sentence: str):
    assert sentence in refuse(wrong)


def task_at(address: str) -> Task:
    return Task("worker", 1, {"worker": [A, address]})


def test_an_address_that_can_be_had():
    task_at(f"127.0.0.1:{free_port()}").listen()
    task_at(f"localhost:{free_port()}").listen()
    task_at(f"{ELSEWHERE}:{free_port()}").listen("127.0.0.1")
    task_at(f"{ELSEWHERE}:{free_port('0.0.0.0')}").listen("0.0.0.0")


def test_a_port_that_was_in_use_a_moment_ago():
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        with socket.create_connection(place):
            server.accept()[0].close()  # who closes first keeps the port in TIME_WAIT
    task_at(f"127.0.0.1:{place[1]}").listen()


@pytest.mark.parametrize(
    ("host", "listen_host", "named"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("localhost", "", "localhost"),
        (ELSEWHERE, "127.0.0.1", "127.0.0.1"),
        (ELSEWHERE, "0.0.0.0", "0.0.0.0"),
    ],
)
def test_a_port_in_use(host: str, listen_host: str, named: str, port: int):
    with pytest.raises(ClusterError) as caught:
        task_at(f"{host}:{port}").listen(listen_host)
    assert str(caught.value) == (
        f"Port {port} of {named}, where worker 1 should listen, is in use: perhaps by an earlier run, or by another"
        " process with this --job_name and --task_index; end it, or name another port on every task."
    )


def test_a_name_means_its_ipv4_address(port: int, monkeypatch: pytest.MonkeyPatch):
    """As for TensorFlow's server; else a port in use would go unseen where IPv6 comes first."""
    entries = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(ClusterError, match="is in use"):
        task_at(f"both:{port}").listen()


@pytest.mark.parametrize(
    ("host", "listen_host"),
    [(ELSEWHERE, ""), ("127.0.0.1", ELSEWHERE), ("host.invalid", ""), ("127.0.0.1", "10.0.0..2")],
)
def test_an_address_that_is_not_of_this_machine(host: str, listen_host: str):
    with pytest.raises(ClusterError) as caught:
        task_at(f"{host}:3000").listen(listen_host)
    sentence = str(caught.value)
    assert sentence.startswith(f"worker 1 cannot listen on {listen_host or host}:3000 (")
    assert "(None)" not in sentence
    assert sentence.endswith(
        "start it on that host, mend its --task_index or its address, or behind a translated address give"
        " --listen_host."
    )


def test_who_listens(port: int):
    assert is_listening(f"127.0.0.1:{port}")
    assert is_listening(f"localhost:{port}")
    assert not is_listening(f"127.0.0.1:{free_port()}")
    assert not is_listening("host.invalid:3000")


def test_who_is_silent(port: int):
    here, gone = f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}"
    task = Task("worker", 0, {"worker": [A, here, gone], "ps": [here]})
    assert task.silent() == [f"worker 2 ({gone})"]


def test_ipv6():
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        address = f"[::1]:{server.getsockname()[1]}"
        assert is_listening(address)
        with pytest.raises(ClusterError, match="of ::1, where worker 1 should listen, is in use"):
            task_at(address).listen()
    assert not is_listening(address)
    task_at(address).listen()
    assert read(worker_hosts=f"{address},{A}", job_name="worker").address == address


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("10.0.0.2:3000", ("10.0.0.2", 3000)),
        ("node-7.lan:1", ("node-7.lan", 1)),
        ("[fd00::2]:65535", ("fd00::2", 65535)),
    ],
)
def test_split_address(address: str, parts: tuple[str, int]):
    assert split_address(address) == parts


def test_cores():
    assert count_cores() >= 1
