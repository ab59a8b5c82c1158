"""The data of the bench: the same samples for both servers, drawn from a seed.

`differential()` gives small series of every shape that a query can meet: counters that start again, gauges with NaN and
infinities, gaps, histograms, and what Istio and Kepler export, with the labels that their dashboards ask for.
`dashboard(count)` gives `count` series of Istio's and Kepler's metrics in the proportions of a mesh.
"""
import array
import random

STEP_MS = 15_000
CODES = ["200", "404", "500", "503"]
BOUNDS = ["0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "+Inf"]
SERVICES = ["productpage", "details", "reviews", "ratings", "search", "geo", "rate", "profile"]


def istio_labels(rng, source, target, reporter, code, zone):
    def side(name, which):
        return {
            f"{which}_workload": f"{name}-v1", f"{which}_workload_namespace": "default",
            f"{which}_canonical_service": name, f"{which}_canonical_revision": "v1",
            f"{which}_principal": f"spiffe://cluster.local/ns/default/sa/{name}",
            f"{which}_app": name, f"{which}_version": "v1", f"{which}_cluster": "Kubernetes",
        }
    labels = {"reporter": reporter, **side(source, "source"), **side(target, "destination")}
    labels.update({
        "destination_service": f"{target}.default.svc.cluster.local", "destination_service_name": target,
        "destination_service_namespace": "default", "request_protocol": "http", "response_code": code,
        "grpc_response_status": "", "response_flags": "-" if code != "503" else "UF",
        "connection_security_policy": "mutual_tls" if reporter != "source" else "unknown",
        "app": target, "namespace": "default", "instance": f"10.0.0.{zone}:15090", "job": "kubernetes-pods",
        "pod": f"{target}-v1-{zone}",
    })
    return {name: value for name, value in labels.items() if value}


def counter(rng, count, scale, resets=0.0, whole=True):
    value, points = rng.uniform(0, 50 * scale), []
    for _ in range(count):
        value += rng.expovariate(1 / scale)
        if rng.random() < resets:
            value = rng.uniform(0, scale)
        points.append(float(int(value)) if whole else round(value, 6))
    return points


def gauge(rng, count, odd=0.0):
    value, points = rng.uniform(-50, 50), []
    for _ in range(count):
        value += rng.gauss(0, 3)
        drawn = rng.random()
        if drawn < odd:
            points.append(rng.choice([float("nan"), float("inf"), float("-inf"), 0.0, -0.0]))
        else:
            points.append(value)
    return points


def gaps(rng, points, share):
    """Leaves out runs of points."""
    kept, left = [], 0
    for at, value in enumerate(points):
        if left:
            left -= 1
            continue
        if rng.random() < share:
            left = rng.choice([1, 2, 5, 25])
            continue
        kept.append((at, value))
    return kept


def mesh(rng, edges, length):
    """Istio's metrics of some edges, reporters and codes."""
    for source, target in edges:
        for reporter in ("source", "destination", "waypoint"):
            for code in CODES:
                labels = istio_labels(rng, source, target, reporter, code, rng.randint(1, 3))
                rate = {"200": 40, "404": 3, "500": 1, "503": 0.5}[code]
                yield "istio_requests_total", labels, counter(rng, length, rate, 0.0005)
                for family in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
                    total = [0.0] * length
                    for bound in BOUNDS:
                        part = counter(rng, length, rate / len(BOUNDS))
                        total = [a + b for a, b in zip(total, part)]
                        yield f"{family}_bucket", {**labels, "le": bound}, total
                    yield f"{family}_count", labels, total
                    yield f"{family}_sum", labels, [round(value * 13.7, 3) for value in total]
            tcp = {k: v for k, v in istio_labels(rng, source, target, reporter, "0", 1).items() if k != "response_code"}
            for name in ("istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total",
                         "istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total"):
                yield name, {**tcp, "request_protocol": "tcp"}, counter(rng, length, 900)


def kepler(rng, nodes, length):
    """Kepler's metrics, of both generations."""
    for node in range(nodes):
        of_node = {"node_name": f"node-{node}", "job": "kepler", "instance": f"10.0.1.{node}:28282"}
        for zone in ("package", "core", "dram"):
            for part in ("", "_active", "_idle"):
                labels = {**of_node, "zone": zone, "path": f"/sys/class/powercap/{zone}"}
                yield f"kepler_node_cpu{part}_joules_total", labels, counter(rng, length, 450, 0, False)
                yield f"kepler_node_cpu{part}_watts", labels, [abs(v) for v in gauge(rng, length)]
            for pod in range(6):
                labels = {**of_node, "zone": zone, "pod_id": f"{node}-{pod}", "pod_name": f"{SERVICES[pod]}-v1-{node}",
                          "pod_namespace": "default", "state": "running"}
                yield "kepler_pod_cpu_joules_total", labels, counter(rng, length, 20, 0, False)
                yield "kepler_pod_cpu_watts", labels, [abs(v) for v in gauge(rng, length)]
                box = {**of_node, "zone": zone, "container_id": f"c{node}{pod}", "container_name": SERVICES[pod],
                       "runtime": "containerd", "state": "running", "pod_id": f"{node}-{pod}"}
                yield "kepler_container_cpu_joules_total", box, counter(rng, length, 20, 0, False)
                yield "kepler_container_cpu_watts", box, [abs(v) for v in gauge(rng, length)]
        yield "kepler_node_cpu_usage_ratio", of_node, [abs(v) % 1 for v in gauge(rng, length)]
        yield "kepler_node_info", {**of_node, "source": "rapl-sysfs"}, [1.0] * length
        yield "up", of_node, [1.0] * length
        for part in ("package", "dram", "other", "platform", "gpu", "core"):
            for mode in ("dynamic", "idle"):
                old = {"instance": f"10.0.1.{node}:9102", "job": "kepler", "mode": mode, "source": "rapl-sysfs"}
                yield f"kepler_node_{part}_joules_total", {**old, "exported_instance": f"node-{node}"}, \
                    counter(rng, length, 450, 0, False)
                for pod in range(3):
                    yield f"kepler_container_{part}_joules_total", {
                        **old, "pod_name": SERVICES[pod], "container_name": SERVICES[pod], "container_id": f"o{node}{pod}",
                        "container_namespace": "default"}, counter(rng, length, 20, 0, False)
        for pod in range(3):
            yield "kepler_container_joules_total", {
                "instance": f"10.0.1.{node}:9102", "job": "kepler", "mode": "dynamic", "pod_name": SERVICES[pod],
                "container_name": SERVICES[pod], "container_id": f"o{node}{pod}", "container_namespace": "default"}, \
                counter(rng, length, 20, 0, False)


def differential(seed, length=240):
    """Yields (name, labels, [(position, value)])."""
    rng = random.Random(seed)
    edges = [("istio-ingressgateway", "productpage"), ("productpage", "details"), ("productpage", "reviews"),
             ("reviews", "ratings"), ("unknown", "productpage")]
    for name, labels, points in mesh(rng, edges, length):
        yield name, labels, gaps(rng, points, 0.001)
    for name, labels, points in kepler(rng, 2, length):
        yield name, labels, gaps(rng, points, 0.001)
    for component in ("pilot", "proxy"):
        yield "istio_build", {"component": component, "tag": "1.27.0"}, list(enumerate([1.0] * length))
    for pod in ("ztunnel-a", "ztunnel-b", "productpage-v1-1"):
        yield "container_cpu_usage_seconds_total", {"pod": pod, "container": "istio-proxy"}, \
            list(enumerate(counter(rng, length, 2, 0, False)))
    for group in ("canary", "production", "baseline"):
        for instance in range(4):
            for job in ("api", "app"):
                labels = {"group": group, "instance": str(instance), "job": job}
                yield "demo_requests_total", labels, gaps(rng, counter(rng, length, 30, 0.01), 0.02)
                yield "demo_memory_bytes", labels, gaps(rng, [round(abs(v) * 1e6) * 1.0 for v in gauge(rng, length)], 0.02)
                yield "demo_temperature", labels, gaps(rng, gauge(rng, length, 0.01), 0.03)
                if instance < 3:
                    yield "demo_limit", {"group": group, "instance": str(instance)} if job == "api" else \
                        {"group": group, "instance": str(instance), "kind": "soft"}, \
                        gaps(rng, [float(rng.randint(1, 5)) for _ in range(length)], 0.01)
        total = [0.0] * length
        for bound in ("0.1", "0.5", "1", "2.5", "10", "+Inf"):
            total = [a + b for a, b in zip(total, counter(rng, length, 4, 0.002))]
            yield "demo_latency_bucket", {"group": group, "le": bound}, gaps(rng, total, 0.002)
    for sparse in range(3):
        points = [(at, value) for at, value in enumerate(gauge(rng, length)) if at % 17 == sparse]
        yield "demo_sparse", {"instance": str(sparse)}, points


def dashboard(seed, count, length):
    """Yields `count` series (name, labels, values of all positions) as meshes have them."""
    rng = random.Random(seed)
    left, pair = count, 0
    def some():
        nonlocal pair
        yield from kepler(rng, max(1, count // 1000), length)
        while True:
            source, target = SERVICES[pair % 8], SERVICES[(pair // 8) % 8]
            for name, labels, points in mesh(rng, [(source, target)], length):
                yield name, {**labels, "pod": f"{target}-v1-{pair}", "instance": f"10.0.{pair // 200}.{pair % 200}:15090"}, points
            pair += 1
    for name, labels, points in some():
        if left == 0:
            return
        left -= 1
        yield name, labels, array.array("d", points)
