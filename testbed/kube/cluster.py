"""A real Kubernetes control plane on loopback, and wattle's roles beside it.

etcd, kube-apiserver and kube-scheduler are the real programs (testbed/control-plane/build, or WATTLE_KUBE_BIN). There is
no kubelet and no controller manager: a bound pod stays Pending with spec.nodeName set. Standard library only.
"""
import concurrent.futures, http.client, json, os, shutil, signal, socket, ssl, subprocess, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOKEN = "testbed"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(what, holds, seconds=90, every=0.1):
    end, last = time.time() + seconds, None
    while time.time() < end:
        try:
            value = holds()
            if value:
                return value
        except (OSError, http.client.HTTPException, ValueError, KeyError, RuntimeError) as error:
            last = error
        time.sleep(every)
    raise AssertionError("%s: not within %d s%s" % (what, seconds, " (%r)" % last if last else ""))


def kube_programs(build=True):
    """The folder of the programs; None where they cannot be had."""
    script = os.path.join(ROOT, "testbed", "control-plane", "build")
    done = subprocess.run([script] + ([] if build else ["--check"]), stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


class Program:
    """A process that is ours to end."""
    def __init__(self, folder, name, argv, env=None):
        self.log = os.path.join(folder, name + ".log")
        self.name = name
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
                                            env=dict(os.environ, **(env or {})))

    def is_alive(self):
        return self.process.poll() is None

    def stop(self, how=signal.SIGTERM):
        if self.is_alive():
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()


def unverified():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Api:
    """The API server, over a connection of each thread's own."""
    def __init__(self, port):
        self.port, self.local, self.context = port, threading.local(), unverified()

    def __call__(self, method, path, body=None, accept=(200, 201, 202)):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json", "Accept": "application/json"}
        for attempt in (0, 1):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=60)
                self.local.connection = connection
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                text = response.read()
                break
            except (OSError, http.client.HTTPException):
                self.local.connection = None
                if attempt:
                    raise
        if response.status not in accept:
            raise RuntimeError("%s %s: %d %s" % (method, path, response.status, text[:300]))
        return json.loads(text) if text[:1] in (b"{", b"[") else text


def node_object(name, cores, memory_gib):
    offers = {"cpu": str(cores), "memory": "%dGi" % memory_gib, "pods": "250"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated",
             "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
            "status": {"capacity": offers, "allocatable": offers, "conditions": [ready]}}


def pod_object(name, cpu="500m", annotations=None, app="batch"):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": app}, "annotations": annotations or {}},
            "spec": {"containers": [{"name": "c", "image": "registry.example/pause:3.10",
                                     "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]}}


class ControlPlane:
    """etcd and kube-apiserver, and kube-scheduler when it is asked for."""
    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        client, peer, self.port, self.scheduler_port = free_ports(4)
        self.etcd_urls = "http://127.0.0.1:%d" % client, "http://127.0.0.1:%d" % peer
        self.kubeconfig = os.path.join(folder, "kubeconfig")
        with open(os.path.join(folder, "tokens.csv"), "w") as f:
            f.write('%s,admin,admin,"system:masters"\n' % TOKEN)
        self.key = os.path.join(folder, "sa.key")
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True, stderr=subprocess.DEVNULL)
        with open(self.kubeconfig, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "testbed",
                       "clusters": [{"name": "testbed", "cluster": {"server": "https://127.0.0.1:%d" % self.port,
                                                                    "insecure-skip-tls-verify": True}}],
                       "users": [{"name": "admin", "user": {"token": TOKEN}}],
                       "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "admin"}}]}, f)
        self.api, self.scheduler = Api(self.port), None
        client, peer = self.etcd_urls
        self.etcd = Program(folder, "etcd", [
            os.path.join(programs, "etcd"), "--name=n", "--data-dir=" + os.path.join(folder, "etcd"), "--unsafe-no-fsync",
            "--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
            "--initial-advertise-peer-urls=" + peer, "--initial-cluster=n=" + peer, "--log-level=warn"])
        self.apiserver = None
        try:
            self.start_apiserver()
        except BaseException:
            self.stop()
            raise

    def start_apiserver(self):
        # TaintNodesByCondition would taint every node that no kubelet reports for; a loopback address is refused
        # for endpoints, hence the reconciler.
        self.apiserver = Program(self.folder, "kube-apiserver", [
            os.path.join(self.programs, "kube-apiserver"), "--etcd-servers=" + self.etcd_urls[0],
            "--secure-port=%d" % self.port, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none", "--cert-dir=" + os.path.join(self.folder, "certs"),
            "--token-auth-file=" + os.path.join(self.folder, "tokens.csv"), "--authorization-mode=AlwaysAllow",
            "--enable-priority-and-fairness=false", "--max-requests-inflight=0", "--max-mutating-requests-inflight=0",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition,NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-signing-key-file=" + self.key, "--service-account-key-file=" + self.key])

        def ready():
            assert self.apiserver.is_alive(), self.apiserver.text()[-2000:]
            return self.api("GET", "/readyz") == b"ok" and self.api("GET", "/api/v1/namespaces/default")
        until("kube-apiserver", ready, 240)

    def create(self, path, objects):
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda item: self.api("POST", path, item), objects))

    def nodes(self, sizes):
        self.create("/api/v1/nodes", [node_object(name, cores, memory) for name, cores, memory in sizes])

    def pods(self, objects):
        self.create("/api/v1/namespaces/default/pods", objects)

    def places(self):
        """Pod -> node of the pods that are bound."""
        items = self.api("GET", "/api/v1/namespaces/default/pods")["items"]
        return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in items if pod["spec"].get("nodeName")}

    def delete_pods(self):
        self.api("DELETE", "/api/v1/namespaces/default/pods?gracePeriodSeconds=0")
        until("no pods", lambda: not self.api("GET", "/api/v1/namespaces/default/pods")["items"])

    def start_scheduler(self, extender=None, percentage=100):
        """extender: the YAML mapping's entries of one extender, as lines without indentation."""
        lines = ["apiVersion: kubescheduler.config.k8s.io/v1", "kind: KubeSchedulerConfiguration",
                 "percentageOfNodesToScore: %d" % percentage, "leaderElection: {leaderElect: false}",
                 "clientConnection: {kubeconfig: %s, qps: 5000, burst: 5000}" % json.dumps(self.kubeconfig)]
        if extender:
            lines += ["extenders:", "- " + extender[0]] + ["  " + line for line in extender[1:]]
        path = os.path.join(self.folder, "scheduler.yaml")
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.scheduler = Program(self.folder, "kube-scheduler", [
            os.path.join(self.programs, "kube-scheduler"), "--config=" + path, "--secure-port=%d" % self.scheduler_port,
            "--bind-address=127.0.0.1", "--cert-dir=" + os.path.join(self.folder, "certs-scheduler"),
            "--authorization-always-allow-paths=/healthz,/metrics", "--authentication-skip-lookup", "--v=2"])

        def ready():
            assert self.scheduler.is_alive(), self.scheduler.text()[-2000:]
            return self.scheduler_get("/healthz") == "ok"
        until("kube-scheduler", ready)

    def scheduler_get(self, path):
        connection = http.client.HTTPSConnection("127.0.0.1", self.scheduler_port, context=unverified(), timeout=10)
        connection.request("GET", path)
        return connection.getresponse().read().decode()

    def stop_scheduler(self):
        if self.scheduler:
            self.scheduler.stop()
            self.scheduler = None

    def stop(self):
        self.stop_scheduler()
        for program in (self.apiserver, self.etcd):
            if program:
                program.stop()


class Scratch:
    """A folder that is gone afterwards, with everything that was started in it; kept and named on failure."""
    def __enter__(self):
        self.folder, self.started = tempfile.mkdtemp(prefix="wattle-testbed-"), []
        return self

    def add(self, thing):
        self.started.append(thing)
        return thing

    def __exit__(self, kind, *_):
        for thing in reversed(self.started):
            thing.stop()
        if kind and os.environ.get("WATTLE_KEEP"):
            print("kept: " + self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
