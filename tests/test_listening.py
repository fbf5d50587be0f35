"""Where TensorFlow's servers listen, seen from outside: in /proc/net, and by connecting."""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from util import listening

ELSEWHERE = "203.0.113.1"  # an address of documentation (RFC 5737): no machine's
EVERYWHERE = {"0.0.0.0", "::"}
supported = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in {"x86_64", "aarch64"}, reason="not supported here"
)

SERVERS = """
import json, socket, sys
from util import tf
from util.listening import listen_only_on

servers = []

def start(port=0):
    servers.append(tf.distribute.Server({"worker": [f"localhost:{port}"]}, job_name="worker", task_index=0))
    return int(servers[-1].target.rpartition(":")[2])

def start_on(host, port=0):
    return start(port) if listen_only_on(host) else None

said = {"without": start(), "elsewhere": listen_only_on(sys.argv[1]), "still without": start()}
with socket.create_server(("127.0.0.1", 0)) as other:
    port = other.getsockname()[1]
    said["beside"] = start_on("127.0.0.2", port) == port  # as a server on every interface could not
    try:
        said["in use"] = str(start_on("127.0.0.1", port))
    except tf.errors.OpError as error:
        said["in use"] = str(error)
said |= {host: start_on(host) for host in ("::1", "localhost", "127.0.0.1", "127.0.0.2")}
with socket.socket() as own:
    own.bind(("", 0))
    said["own"] = own.getsockname()[0]
print(json.dumps(said), flush=True)
sys.stdin.read()
"""

CLIENT = """
import sys
from util import tf
with tf.Graph().as_default(), tf.compat.v1.Session(sys.argv[1]) as session:
    fed = tf.compat.v1.placeholder(tf.float32)
    with tf.device("/job:worker/task:0"):
        answer = fed * 2.0
    print(session.run(answer, {fed: 21.0}))
"""

CALLS = """
import ctypes, errno, functools, json, operator, signal, socket
from util.listening import _make_functions

def call(function, *arguments):
    result = function(*arguments)
    return errno.errorcode[ctypes.get_errno()] if result else 0

wildcard = int(socket.AF_INET).to_bytes(2, "little") + bytes(14)
said = []
for family, address in ((socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.2", 0))):
    functions = _make_functions(family, address)
    bind, listen = functions[b"bind"], functions[b"listen"]
    with socket.socket() as server, socket.socket() as second:
        said.append([call(bind, server.fileno(), wildcard, 16), server.getsockname()[0]])
        said[-1].append(call(listen, server.fileno(), 1))
        taken = wildcard[:2] + server.getsockname()[1].to_bytes(2, "big") + wildcard[4:]
        said[-1].append(call(bind, second.fileno(), taken, 16))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
with socket.socket() as server:
    interrupted = [ctypes.pythonapi.PyErr_SetInterrupt, functools.partial(bind, server.fileno(), wildcard, 16)]
    list(map(operator.methodcaller("__call__"), interrupted))
    said.append([server.getsockname()[0], call(listen, server.fileno(), 1)])
print(json.dumps(said))
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Any]]:
    with start(SERVERS, ELSEWHERE) as process:
        line = process.stdout.readline()
        try:
            assert line, process.stderr.read()
            yield json.loads(line)
        finally:
            process.kill()


def addresses(port: int) -> set[str]:
    """Return where somebody listens on a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            host, _, local_port = local.partition(":")
            if state == "0A" and int(local_port, 16) == port:
                words = (bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
                address = ipaddress.ip_address(b"".join(words))
                found.add(str(getattr(address, "ipv4_mapped", None) or address))
    return found


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


@supported
def test_tensorflow_by_itself_listens_on_every_interface(servers):
    assert addresses(servers["without"]) & EVERYWHERE
    assert connects("127.0.0.1", servers["without"])
    assert connects("127.0.0.2", servers["without"])


@supported
@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
def test_a_server_listens_on_its_address_only(host, other, servers):
    assert addresses(servers[host]) == {host}
    assert connects(host, servers[host])
    assert not connects(other, servers[host])


@supported
def test_a_name_means_its_first_ipv4_address(servers):
    assert addresses(servers["localhost"]) == {"127.0.0.1"}


@supported
def test_an_ipv6_address(servers):
    if servers["::1"] is None:
        pytest.skip("no IPv6 here")
    assert addresses(servers["::1"]) == {"::1"}
    assert connects("::1", servers["::1"])
    assert not connects("127.0.0.1", servers["::1"])


@supported
def test_a_given_port_that_is_taken_on_another_address_only(servers):
    assert servers["beside"] is True


@supported
def test_a_port_in_use_is_tensorflows_error(servers):
    assert "Could not start gRPC server" in servers["in use"]


@supported
def test_an_address_of_another_machine_changes_nothing(servers):
    assert servers["elsewhere"] is False
    assert addresses(servers["still without"]) & EVERYWHERE


@supported
def test_sockets_of_python_stay_as_they_are(servers):
    assert servers["own"] == "0.0.0.0"


@supported
def test_another_process_computes_on_a_server(servers):
    with start(CLIENT, f"grpc://127.0.0.2:{servers['127.0.0.2']}") as client:
        said, errors = client.communicate(timeout=120)
    assert said == "42.0\n", errors


@supported
def test_what_cannot_be_bound_here_is_not_bound_elsewhere():
    with start(CALLS) as process:
        said, errors = process.communicate(timeout=60)
    ipv6, ipv4, interrupted = json.loads(said)
    assert ipv4 == [0, "127.0.0.2", 0, "EADDRINUSE"]
    assert ipv6 == ["EINVAL", "0.0.0.0", "EADDRNOTAVAIL", "EINVAL"]
    assert interrupted == ["0.0.0.0", "EADDRNOTAVAIL"]
    assert "KeyboardInterrupt" in errors


@pytest.mark.parametrize(("name", "value"), [("system", "Darwin"), ("machine", "riscv64")])
def test_other_systems_cannot(name, value, monkeypatch):
    monkeypatch.setattr(platform, name, lambda: value)
    assert listening.listen_only_on("127.0.0.1") is False
