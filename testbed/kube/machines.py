"""Simulated machines behind real Node objects: they watch the pods bound to them and export what Kepler v0.11 would.

Power is a straight line between the published points of a real server (SPECpower_ssj2008 published results, snapshot
2022: the machines of demo/src/machines.rs). A pod uses what it asks for. Faults on demand: `silent` nodes export nothing,
`noise` is a relative error, `reset` begins a node's counters anew.
"""
import http.server, random, threading, time

CURVES = {
    "ibm-x3550-m2": [74.1, 107.0, 122.0, 137.0, 151.0, 166.0, 181.0, 197.0, 213.0, 229.0, 243.0],
    "hitachi-rs110-hhm": [58.2, 66.4, 71.6, 77.3, 85.7, 96.1, 111.0, 121.0, 129.0, 157.0, 171.0],
    "fujitsu-rx1330-m4": [16.8, 20.7, 23.2, 25.6, 28.3, 31.6, 35.8, 40.1, 44.7, 50.6, 57.4],
}


def power(curve, share):
    place = min(max(share, 0.0), 1.0) * 10
    below = min(int(place), 9)
    return curve[below] + (curve[below + 1] - curve[below]) * (place - below)


def cores(quantity):
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


class Machines:
    """nodes: name -> (class, cores); base: name -> use beside the pods', a function of the time."""
    def __init__(self, plane, nodes, base, seed=1):
        self.plane, self.nodes, self.base = plane, nodes, base
        self.random, self.silent, self.noise = random.Random(seed), set(), 0.01
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.joules = {name: 0.0 for name in nodes}
        self.share = {name: 0.0 for name in nodes}
        self.pods, self.last = {}, time.time()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.port = self.server.server_address[1]
        for work in (self.server.serve_forever, self.run):
            threading.Thread(target=work, daemon=True).start()

    def run(self):
        while not self.stopped.wait(0.5):
            self.step()

    def step(self):
        try:
            items = self.plane.api("GET", "/api/v1/namespaces/default/pods")["items"]
        except Exception:  # the API server is gone for a while: the pods are as they were
            items = None
        with self.lock:
            if items is not None:
                self.pods = {}
                for pod in items:
                    node = pod["spec"].get("nodeName")
                    if node:
                        asks = sum(cores(c["resources"]["requests"]["cpu"]) for c in pod["spec"]["containers"])
                        self.pods.setdefault(node, []).append((pod["metadata"], asks))
            now = time.time()
            for name, (kind, count) in self.nodes.items():
                used = self.base(name, now) + sum(asks for _, asks in self.pods.get(name, []))
                self.share[name] = min(used / count, 1.0)
                error = 1 + self.noise * self.random.gauss(0, 1)
                self.joules[name] += power(CURVES[kind], self.share[name]) * (now - self.last) * error
            self.last = now

    def reset(self, name):
        with self.lock:
            self.joules[name] = 0.0

    def exposition(self):
        with self.lock:
            heard = [name for name in self.nodes if name not in self.silent]
            lines = ["# TYPE kepler_node_cpu_joules_total counter"]
            lines += ['kepler_node_cpu_joules_total{node_name="%s",path="simulated",zone="psys"} %.6f' % (n, self.joules[n])
                      for n in heard]
            lines += ["# TYPE kepler_node_cpu_usage_ratio gauge"]
            lines += ['kepler_node_cpu_usage_ratio{node_name="%s"} %.6f' % (n, self.share[n]) for n in heard]
            lines += ["# TYPE kepler_pod_cpu_joules_total counter"]
            for name in heard:
                for about, asks in self.pods.get(name, []):
                    lines.append('kepler_pod_cpu_joules_total{node_name="%s",pod_id="%s",pod_name="%s",pod_namespace="%s",'
                                 'state="running",zone="psys"} %.3f' % (name, about["uid"], about["name"],
                                                                        about["namespace"], asks * self.last % 1e9))
        return "\n".join(lines) + "\n"

    def handler(machines):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = machines.exposition().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:  # the scrape was given up
                    self.close_connection = True

            def log_message(self, *_):
                pass
        return Handler

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
