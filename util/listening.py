"""Servers that listen on one address instead of on every interface.

TensorFlow's server asks gRPC for 0.0.0.0 whatever host the cluster names, has no setting for it, and obeys whoever
connects. So its libraries' calls of `bind` are led through a function here. A library calls another's function through
an address in a table of its own (System V ABI, "Dynamic Linking"); that address is replaced, in TensorFlow's only.
"""

from __future__ import annotations

import collections
import ctypes
import errno
import itertools
import operator
import os
import platform
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from util import tf
from util.task import resolve

_MACHINES = {"x86_64", "aarch64"}  # 64 bits, little-endian, relocations of this form
_LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
_RELOCATION = np.dtype([("slot", "u8"), ("type", "u4"), ("symbol", "u4"), ("addend", "i8")])  # Elf64_Rela
_SYMBOL = np.dtype([("name", "u4"), ("info", "u2"), ("section", "u2"), ("value", "u8"), ("size", "u8")])  # Elf64_Sym
_PLTRELSZ, _STRTAB, _SYMTAB, _RELA, _RELASZ, _JMPREL = 2, 5, 6, 7, 8, 23  # tags of the dynamic section
_ADDRESS_AT = {int(socket.AF_INET): (4, 8), int(socket.AF_INET6): (8, 24)}  # bytes of a sockaddr
_Bind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, use_errno=True)
_Listen = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, use_errno=True)
_kept: list[Any] = []  # the libraries call these as long as the process lives


def listen_only_on(host: str) -> bool:
    """Make TensorFlow's servers that this process starts from now on listen on this host's address only.

    A later call overrides an earlier one.

    Args:
        host: a name or an address of this machine; of a name's addresses the first, IPv4 before IPv6. Clients have to
            come to the same one: a name that means 127.0.1.1 here and something else on their machine does not do.

    Returns:
        Whether that is possible here (Linux on x86-64 or aarch64, an address of this machine); if not, nothing changes.

    Raises:
        socket.gaierror: the name has no address.
    """
    family, address = resolve(host)
    if platform.system() != "Linux" or platform.machine() not in _MACHINES:
        return False
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
        functions = _make_functions(family, address)
        with Path("/proc/self/mem").open("r+b") as memory:  # a wrong address raises here instead of killing
            slots = [slot for library in _LIBRARIES for slot in _find_slots(memory.fileno(), library, set(functions))]
            if {name for _, name in slots} != set(functions):
                return False
            for slot, name in slots:
                os.pwrite(memory.fileno(), struct.pack("=Q", ctypes.cast(functions[name], ctypes.c_void_p).value), slot)
    except (OSError, MemoryError):  # not our address; other libraries; no /proc; a system that forbids callbacks
        return False
    return True


def _make_functions(family: int, address: tuple[Any, ...]) -> dict[bytes, Any]:
    """Make a `bind` that reads "every interface" as this address, and a `listen` for what it has bound."""
    packed = socket.inet_pton(family, address[0].partition("%")[0])
    own = {family: packed + struct.pack("=I", address[3]) if family == socket.AF_INET6 else packed}
    own.setdefault(socket.AF_INET6, bytes(10) + b"\xff\xff" + packed)  # gRPC's IPv6 sockets take IPv4 (RFC 4291)
    program = ctypes.CDLL(None)
    bind, listen = _Bind(("bind", program)), _Listen(("listen", program))
    bound: set[int] = set()

    def bind_here(descriptor: int, pointer: int, length: int) -> int:
        asked = ctypes.string_at(pointer, length)
        asked_family = int.from_bytes(asked[:2], "little")
        begin, end = _ADDRESS_AT.get(asked_family, (0, 0))
        if begin and not any(asked[begin:end]):
            mine = own.get(asked_family)  # none: an IPv4 socket cannot have an IPv6 address, and bind refuses no bytes
            asked = asked[:begin] + mine + asked[begin + len(mine) :] if mine else b""
        result = int(bind(descriptor, asked, len(asked)))
        if result == 0:
            bound.add(descriptor)
        return result

    def listen_here(descriptor: int, backlog: int) -> int:
        # An interrupt pending when bind_here is entered ends it at once, and its caller may see the zero of success,
        # for ctypes leaves the result as it was; and a socket that nobody has bound would listen on every interface.
        if descriptor not in bound:
            ctypes.set_errno(errno.EADDRNOTAVAIL)
            return -1
        bound.remove(descriptor)
        return int(listen(descriptor, backlog))

    functions = {b"bind": _Bind(bind_here), b"listen": _Listen(listen_here)}
    _kept.append(functions)
    return functions


def _find_slots(memory: int, library: str, names: set[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the addresses where a library keeps those of these functions, with the function's name."""
    tf.__version__  # noqa: B018 - has them loaded
    link_map = ctypes.CDLL(library, mode=os.RTLD_NOLOAD)._handle  # what glibc's dlopen returns (link.h)
    base, _, dynamic = struct.unpack("=QQQ", os.pread(memory, 24, link_map))
    entries = struct.iter_unpack("=QQ", os.pread(memory, 2048, dynamic))  # a tag of 0 ends them
    tags = collections.defaultdict(int, itertools.takewhile(operator.itemgetter(0), entries))

    def read(begin: int, size: int) -> bytes:
        return os.pread(memory, size, begin if begin > base else base + begin)  # glibc has added the base already

    tables = read(tags[_JMPREL], tags[_PLTRELSZ]) + read(tags[_RELA], tags[_RELASZ])
    relocations = np.frombuffer(tables, _RELOCATION)
    symbols = np.frombuffer(read(tags[_SYMTAB], _SYMBOL.itemsize * (1 + int(relocations["symbol"].max()))), _SYMBOL)
    for index in np.flatnonzero(symbols["section"] == 0):  # what it takes from other libraries
        name = read(tags[_STRTAB] + int(symbols["name"][index]), 1 + max(map(len, names))).partition(b"\0")[0]
        if name in names:
            yield from ((base + int(slot), name) for slot in relocations["slot"][relocations["symbol"] == index])
