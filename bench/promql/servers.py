"""The two servers: a real Prometheus, and a collector of ours, each on a free port with its data in a scratch folder."""
import os
import pathlib
import socket
import subprocess
import time

import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def peers(*packages):
    """Gives the folder of the real programs."""
    out = subprocess.run([ROOT / "bench/promql/peers", *packages], check=True, capture_output=True, text=True)
    return pathlib.Path(out.stdout.strip())


def build(release=True):
    """Builds the collector that serves alone, and gives its path."""
    profile = ["--release"] if release else []
    subprocess.run(["cargo", "build", "--quiet", "--locked", *profile, "-p", "wattle-collector", "--example",
                    "serve_alone"], check=True, cwd=ROOT)
    return TARGET / ("release" if release else "debug") / "examples/serve_alone"


class Server:
    """A started server: its client, and what it has cost."""

    def __init__(self, process, address):
        self.process, self.client = process, wire.Client(address)
        for _ in range(600):
            try:
                if self.client.call("GET", "/-/ready")[0] == 200:
                    return
            except OSError:
                pass
            if process.poll() is not None:
                raise SystemExit(f"{process.args[0]} ended with {process.returncode}")
            time.sleep(0.1)
        raise SystemExit(f"{process.args[0]} did not become ready")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, line="VmHWM"):
        """Gives a line of the process's status in MiB: VmHWM, the peak, or VmRSS."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(one for one in status.splitlines() if one.startswith(line)).split()[1]) / 1024

    def forget_peak(self):
        """Makes VmHWM the memory of now (proc(5): 5 in clear_refs)."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def settle(self):
        """Waits until it no longer works on what was written."""
        for _ in range(60):
            before = self.cpu_seconds()
            time.sleep(1)
            if self.cpu_seconds() - before < 0.08:
                return

    def stop(self):
        if self.process.stdin:
            self.process.stdin.close()
        else:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def prometheus(folder, bin_folder):
    """Starts a Prometheus over the blocks in a folder."""
    port = free_port()
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 15s}\n")
    arguments = [str(bin_folder / "prometheus"), f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
                 "--storage.tsdb.retention.time=20y", "--web.enable-remote-write-receiver", "--log.level=error",
                 "--query.max-samples=200000000"]
    return Server(subprocess.Popen(arguments, stderr=open(folder / "prometheus.log", "w")), f"127.0.0.1:{port}")


def collector(folder, program):
    """Starts a collector over an empty SQLite store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([str(program), f"sqlite://{folder}/wattle.db", "36500"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=open(folder / "collector.log", "w"), text=True)
    address = process.stdout.readline().strip()
    if not address:
        raise SystemExit("the collector did not start: " + (folder / "collector.log").read_text()[-500:])
    return Server(process, address)
