"""dask.distributed as an executor: who may be talked to, and whether its workers are fit for this phase."""

import platform
import socket
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from finscale.errors import InputError
from study.cluster.node import AtNode
from study.cluster.portable import Portable

_CONNECT_SECONDS = 30


@contextmanager
def dask_executor(address: str, needs: dict[str, float], node: AtNode) -> Iterator[Executor]:
    """A cluster's executor. needs: of each task, in the workers' resources, such as {'GPU': 1}.

    A task whose worker is lost goes to another one; one that has lost three workers is given up (dask's
    distributed.scheduler.allowed-failures). Raises InputError where the cluster cannot or must not be used.
    """
    from distributed import Client, Security  # seconds to import, for those who name a cluster

    check_address(address)
    try:
        if address.startswith("tls:") and not Security().get_connection_args("client")["ssl_context"]:
            raise InputError(
                f"--on {address}: dask has no certificate here; docs/cluster.md has the lines that make one"
            )
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:  # OSError: unreachable; others: what TLS makes of certificates
        raise InputError(
            f"--on {address}: no scheduler can be reached there ({error}); docs/cluster.md starts one"
        ) from None
    with client:
        check_workers(client, address, needs, node)
        # pure: the same task of the same commit is one task, also of two heads that start the same phase.
        yield client.get_executor(pure=True, resources=needs or None)


def check_address(address: str) -> None:
    """Raises InputError for a cluster beyond this machine without TLS: what travels is code, whoever sends it."""
    parts = urlsplit(address)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or not port or parts.scheme not in ("tcp", "tls"):
        raise InputError(f"--on {address}: a scheduler's address is tls://HOST:PORT, or tcp://127.0.0.1:PORT")
    if parts.scheme == "tcp" and not _is_loopback(host):
        raise InputError(
            f"--on {address}: what travels to nodes is code, and without TLS whoever reaches this port may send his "
            "own; docs/cluster.md has the lines for tls://"
        )


def _is_loopback(host: str) -> bool:
    try:
        return all(ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))
    except OSError:
        return False


def check_workers(client: Any, address: str, needs: dict[str, float], node: AtNode) -> None:
    """Raises InputError where a worker is another Python or has other packages, or none has what a task needs."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise InputError(f"--on {address}: the scheduler has no workers; start `dask worker {address}` on a node")
    # Python first: code travels between equal minor versions only.
    pythons = {who: ".".join(told.split(".")[:2]) for who, told in client.run(platform.python_version).items()}
    wanted = node.packages["python"]
    other = {who: f"python {have} (the head {wanted})" for who, have in pythons.items() if have != wanted}
    faults = other or client.run(Portable(node.differing, node.commit))
    if named := [f"  {who} on {workers[who]['host']}: {said}" for who, said in faults.items() if said]:
        raise InputError(
            f"--on {address}: {len(named)} of {len(workers)} nodes would not give the results of this machine; install "
            "requirements-cluster.txt there, or stop them. Nothing was started\n" + "\n".join(named)
        )
    for what, amount in needs.items():
        if not any(told["resources"].get(what, 0) >= amount for told in workers.values()):
            raise InputError(
                f"--with {what}={amount:g}: no worker offers it; start one with `dask worker ... --resources {what}=1`"
            )
