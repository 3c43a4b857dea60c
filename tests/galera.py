"""A Galera cluster of three MariaDB nodes on this machine, which a test starts for itself."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, Signals

import pytest
from sqlalchemy.exc import DBAPIError

from private_servers import PrivateServer, private_mysql, program, unprivileged
from project import wait_for

NODES = 3


class Node(PrivateServer):
    """A node of the cluster; its stop signal is a crash."""

    def answers(self) -> bool:
        """Whether the node belongs to the cluster and takes statements."""
        with suppress(DBAPIError):
            return self.status("wsrep_ready") == "ON"
        return False

    def sees_all(self) -> bool:
        """Whether all nodes belong to the cluster."""
        return self.answers() and self.status("wsrep_cluster_size") == str(NODES)

    def status(self, name: str) -> str:
        """What the node says of itself and the cluster, such as `wsrep_cluster_size`."""
        [(_, value)] = self.database.query(f"SHOW STATUS LIKE '{name}'")
        return str(value)

    def signal(self, number: Signals) -> None:
        """Freeze the node, or wake it up."""
        assert self.process
        self.process.send_signal(number)


def provider() -> str:
    """The library that makes a cluster of MariaDB servers; skips the test without it."""
    for path in Path("/usr").glob("lib*/**/libgalera_smm.so"):
        return str(path)
    pytest.skip("libgalera_smm.so is not installed: it is in the package galera-4")


def node(folder: Path, ports: list[int], number: int) -> Node:
    """A node in a folder of its own. Each has four ports: for clients, and for other nodes."""
    sql, group, transfer, snapshot = ports[4 * number : 4 * number + 4]
    server = private_mysql(folder, sql)
    options = {
        "gmcast.listen_addr": f"tcp://127.0.0.1:{group}",
        "ist.recv_addr": f"127.0.0.1:{transfer}",
        "gcache.size": "16M",
    }
    settings = {
        "wsrep-on": "ON",
        "wsrep-provider": provider(),
        "wsrep-provider-options": ";".join(f"{k}={v}" for k, v in options.items()),
        "wsrep-cluster-address": "gcomm://" + ",".join(f"127.0.0.1:{it}" for it in ports[1::4]),
        "wsrep-node-name": f"node{number}",
        "wsrep-node-address": f"127.0.0.1:{group}",
        "wsrep-sst-method": "rsync",
        "wsrep-sst-receive-address": f"127.0.0.1:{snapshot}",
        "tmpdir": str(folder),  # a server that starts empties the one that all share
        "binlog-format": "ROW",
        "innodb-buffer-pool-size": "16M",
        "innodb-flush-log-at-trx-commit": "0",
    }
    run = [*server.run, *(f"--{k}={v}" for k, v in settings.items())]
    return Node(run, server.database, folder, SIGKILL, server.prepare)


@contextmanager
def galera() -> Iterator[list[Node]]:
    """Start a cluster, and end it afterwards."""
    program("rsync")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(4 * NODES)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = [probe.getsockname()[1] for probe in probes]
        folders = [Path(name, str(number)) for number in range(NODES)]
        for folder in folders:
            (folder / "data").mkdir(parents=True)
        if os.geteuid() == 0:
            for path in (Path(name), *Path(name).rglob("*")):
                shutil.chown(path, "nobody")
        nodes = [node(folder, ports, number) for number, folder in enumerate(folders)]
        subprocess.run(nodes[0].prepare, check=True, capture_output=True, **unprivileged())
        for probe in probes:
            probe.close()
        try:
            start(nodes[0], "--wsrep-new-cluster")
            for other in nodes[1:]:
                other.start()
            wait_for(lambda: all(map(Node.sees_all, nodes)))
            yield nodes
        finally:
            for each in nodes:
                if each.process:
                    each.signal(SIGCONT)
                    each.stop()


def start(node: Node, option: str) -> None:
    """Start the node with an option more."""
    run, node.run = node.run, [*node.run, option]
    node.start()
    node.run = run
