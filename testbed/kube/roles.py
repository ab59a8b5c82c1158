"""wattle's roles as the programs they are: collector and scheduler over files and HTTP."""
import http.client, json, os, ssl, subprocess
from cluster import Program, free_ports, until, unverified


def http_get(port, path, context=None):
    connection = (http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10) if context else
                  http.client.HTTPConnection("127.0.0.1", port, timeout=10))
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()


class Collector:
    """A collector that scrapes the machines: windows of a second, so that a test learns in half a minute."""
    def __init__(self, wattle, folder, machines, plane=None):
        """With a control plane it also watches Kubernetes."""
        listeners = ["listen", "otlp_grpc", "otlp_http", "zipkin", "jaeger_http", "jaeger_grpc"]
        own, *ports = free_ports(1 + len(listeners))
        self.port = ports[0]
        self.env = {"KUBECONFIG": plane.kubeconfig} if plane else {}
        os.makedirs(folder, exist_ok=True)
        self.data = os.path.join(folder, "data")
        config = os.path.join(folder, "collector.yaml")
        facts = [{"node": name, "class": kind, "cores": count, "cpu_capacity_millicores": count * 1000}
                 for name, (kind, count) in machines.nodes.items()]
        with open(config, "w") as f:
            json.dump({"general": {"data": self.data, "listen": "127.0.0.1:%d" % own},
                       "collector": {**{name: "127.0.0.1:%d" % port for name, port in zip(listeners, ports)},
                                     "window": "1s", "window_lag": "1s",
                                     "kubernetes": bool(plane),
                                     "machines": facts,
                                     "scrape": [{"name": "kepler", "interval": "250ms", "timeout": "200ms",
                                                 "honor_labels": True,
                                                 "targets": [{"address": "127.0.0.1:%d" % machines.port}]}]}}, f)
        self.wattle, self.config, self.folder = wattle, config, folder
        self.start()

    def start(self):
        self.program = Program(self.folder, "collector", [self.wattle, "collector", "--config", self.config], self.env)
        until("the collector", lambda: http_get(self.port, "/-/ready")[0] == 200)

    def snapshot(self):
        status, text = http_get(self.port, "/api/v1/snapshot")
        return json.loads(text) if status == 200 else None

    def windows(self):
        snapshot = self.snapshot()
        return snapshot["version"] if snapshot else 0

    def after_windows(self, count):
        wanted = self.windows() + count
        until("%d windows" % count, lambda: self.windows() >= wanted, 180)

    def train(self, model):
        self.after_windows(30 - self.windows())
        subprocess.run([self.wattle, "train", "--config", self.config, "--out", model], check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.program.stop()


class Extender:
    """The scheduler role."""
    def __init__(self, wattle, folder, plane, collector, model, settings=(), tls=None, name="extender"):
        self.port, self.own = free_ports(2)
        argv = [wattle, "scheduler", "--listen", "127.0.0.1:%d" % self.port,
                "--collector", "http://127.0.0.1:%d" % collector.port, "--model", model,
                "--set", "general.listen=127.0.0.1:%d" % self.own, "--set", "scheduler.kubernetes=true",
                "--set", "scheduler.stale_after=20s"]
        for setting in settings:
            argv += ["--set", setting]
        if tls:
            argv += ["--set", "scheduler.tls_certificate=" + tls[0], "--set", "scheduler.tls_key=" + tls[1]]
        self.context = unverified() if tls else None
        self.program = Program(folder, name, argv, {"KUBECONFIG": plane.kubeconfig})
        until("the extender", lambda: http_get(self.port, "/livez", self.context)[0] == 200)

    def entry(self, verbs=("prioritize",), **more):
        """What KubeSchedulerConfiguration says of it."""
        scheme = "https" if getattr(self, "context", None) else "http"
        said = {"weight": 5, "nodeCacheCapable": True, "ignorable": True, "httpTimeout": "1s"}
        said.update(("%sVerb" % verb, verb) for verb in verbs)
        said.update(more)
        return (["urlPrefix: %s://127.0.0.1:%d/scheduler" % (scheme, self.port)] +
                ["%s: %s" % (key, json.dumps(value)) for key, value in said.items()])

    def metric(self, start):
        lines = http_get(self.own, "/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))

    def calls(self):
        return self.metric('wattle_scheduler_calls_total{code="200",verb="prioritize"}')

    def explain(self, pod):
        status, text = http_get(self.port, "/explain?namespace=default&pod=" + pod, self.context)
        assert status == 200, (status, text[:300])
        return json.loads(text)

    def stop(self):
        self.program.stop()


def certificate(folder, name, authority=None):
    """A certificate for 127.0.0.1 and the authority that signed it, as files."""
    def path(kind):
        return os.path.join(folder, "%s.%s" % (name, kind))

    def run(*argv):
        subprocess.run(("openssl",) + argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=testbed " + name,
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path("key"), "-out", path("crt"))
    return path("crt"), path("key")
