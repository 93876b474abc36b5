"""Processes: start, end, and what the kernel says of them."""
import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROXY_CPU, OTHERS_CPU = 0, 1


class Processes:
    """What was started, so that it is ended."""

    def __init__(self, folder):
        self.folder, self.all = folder, []

    def start(self, name, command, cpu):
        with open(self.folder / f"{name}.log", "w") as log:
            pinned = ["taskset", "-c", str(cpu), *map(str, command)]
            process = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        process.name = name
        self.all.append(process)
        return process

    def stop(self, process):
        """Ends one, so that it takes nothing from those that are still measured."""
        self.all.remove(process)
        process.send_signal(signal.SIGTERM)
        _wait_or_kill(process)

    def end(self):
        for process in reversed(self.all):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.all):
            _wait_or_kill(process)

    def wait_port(self, process, port, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if process.poll() is not None:
                tail = (self.folder / f"{process.name}.log").read_text()[-2000:]
                raise SystemExit(f"{process.name} ended with {process.returncode}:\n{tail}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{process.name} never listened on port {port}")


def _wait_or_kill(process):
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def family(pid):
    """A process and all below it."""
    found = []
    open_ends = [pid]
    while open_ends:
        one = open_ends.pop()
        found.append(one)
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                open_ends += [int(child) for child in children.read_text().split()]
        except FileNotFoundError:
            pass
    return found


def cpu_us(pid):
    """User and system time of a process tree so far, microseconds."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1_000_000 / TICK


def rss_mib(pid):
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid)) * PAGE / 2**20


def reset_peak(pid):
    """Resident memory's peak is counted from now on."""
    for one in family(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")


def peak_mib(pid):
    statuses = (Path(f"/proc/{one}/status").read_text() for one in family(pid))
    return sum(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) for status in statuses) / 1024


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def raise_file_limit(wanted):
    """A proxy with many connections needs as many descriptors, and more for its targets; what is started inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
