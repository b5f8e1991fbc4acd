"""Who can get in: every socket that a command listens on is of this machine alone."""

import ipaddress
import re
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from phangs_xr.cli.make_runner import Place, make_runner
from tests.commands import call, refuse

PATIENCE = 120.0
"""For a machine under any load [s]."""


def list_sockets(process):
    """The addresses that a process and its children listen on."""
    found = set()
    for one in (process, *process.children(recursive=True)):
        try:
            connections = one.net_connections("inet")
        except psutil.Error:
            continue
        found |= {c.laddr for c in connections if c.status == psutil.CONN_LISTEN}
    return found


def watch_sockets(command, enough):
    """Start a command; the addresses it listened on until it ended, or there were enough."""
    child = subprocess.Popen(
        [sys.executable, "-m", "phangs_xr", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = set()
    end = time.monotonic() + PATIENCE
    try:
        process = psutil.Process(child.pid)
        while child.poll() is None and time.monotonic() < end and len(found) < enough:
            try:
                found |= list_sockets(process)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)
    finally:
        child.kill()
        _, errors = child.communicate()
    return found, errors


def is_local(address):
    return ipaddress.ip_address(address.ip).is_loopback


def test_list_sockets_sees_one_that_is_open_to_all():
    with socket.socket() as opened:
        opened.bind(("0.0.0.0", 0))  # noqa: S104
        opened.listen()
        found = list_sockets(psutil.Process())
        seen = [one for one in found if one.port == opened.getsockname()[1]]
    assert len(seen) == 1
    assert not is_local(seen[0])


def test_run_with_workers_listens_on_this_machine_alone(field, tmp_path):
    # A scheduler, its page, and for each worker and its nanny one.
    command = ("run", field, "--out", tmp_path / "out", "--workers", 2, "--quiet")
    found, errors = watch_sockets(command, enough=6)
    assert len(found) >= 6, errors
    assert all(map(is_local, found)), found


def test_explore_listens_on_this_machine_alone(finished):
    pytest.importorskip("panel")
    found, errors = watch_sockets(("explore", finished, "--no-show"), enough=1)
    assert found, errors
    assert all(map(is_local, found)), found


def test_dashboard_says_where_it_is(capsys):
    with make_runner(Place(workers=1, dashboard="127.0.0.1:0"), quiet=True):
        printed = capsys.readouterr().out
        address = re.fullmatch(r"dashboard: (http://127\.0\.0\.1:\d+/status)\n", printed)
        assert address, printed
        with urllib.request.urlopen(address[1], timeout=PATIENCE) as answer:  # noqa: S310
            assert answer.status == 200


@pytest.mark.parametrize("address", ["8787", "here", "http://127.0.0.1:8787", ":99999", "a b:1"])
def test_dashboard_at_no_address_is_refused(field, tmp_path, capsys, address):
    line = refuse(capsys, tmp_path, "run", field, "--workers", 1, "--dashboard", address)
    assert f"--dashboard {address}: expected HOST:PORT" in line


def test_dashboard_where_it_cannot_listen_is_refused(field, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", "192.0.2.1:8787", "no.such.host:1"):
            line = refuse(capsys, tmp_path, "run", field, "--workers", 1, "--dashboard", address)
            assert f"--dashboard {address}: expected an address of this machine that is" in line


def test_dashboard_without_workers_is_refused(field, tmp_path, capsys):
    line = refuse(capsys, tmp_path, "run", field, "--dashboard", ":0")
    assert "--dashboard: expected with --workers, found without" in line
    assert call("qa", field.parent, "--dashboard", ":0") == 2
