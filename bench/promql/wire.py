"""What goes over the wire: OpenMetrics text, remote write, and queries over HTTP."""
import http.client
import json
import struct
import urllib.parse


def openmetrics(series, start_ms, step_ms, out):
    """Writes series as an OpenMetrics file; samples of one metric must stand together."""
    by_name = {}
    for name, labels, points in series:
        by_name.setdefault(name, []).append((labels, points))
    for name in sorted(by_name):
        out.write(f"# TYPE {name} unknown\n")
        for labels, points in by_name[name]:
            pairs = ",".join(f'{n}="{v}"' for n, v in sorted(labels.items()))
            for at, value in points:
                out.write(f"{name}{{{pairs}}} {number(value)} {(start_ms + at * step_ms) / 1000:.3f}\n")
    out.write("# EOF\n")


def number(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def label_bytes(labels):
    """Encodes the labels of a series of a remote write."""
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))


class Packer:
    """Encodes samples at the same times again and again."""

    def __init__(self, times):
        after = [b"\x10" + varint(time) for time in times]
        before = [b"\x12" + varint(9 + len(part)) + b"\x09" for part in after]
        self.form = struct.Struct("<" + "".join(f"{len(one)}sd{len(two)}s" for one, two in zip(before, after)))
        self.parts = [None] * (3 * len(times))
        self.parts[0::3], self.parts[2::3] = before, after

    def samples(self, values):
        self.parts[1::3] = values
        return self.form.pack(*self.parts)


def write_body(encoded):
    """Makes a remote write 1.0 body of encoded series."""
    return snappy(b"".join(field(1, one) for one in encoded))


def write_request(series):
    """Makes a remote write 1.0 body of (labels, [(time_ms, value)])."""
    return write_body(label_bytes(labels) + b"".join(Packer([time]).samples([value]) for time, value in points)
                      for labels, points in series)


def snappy(plain):
    """Packs nothing: literals only, which is valid snappy."""
    out = bytearray(varint(len(plain)))
    for at in range(0, len(plain), 65536):
        part = plain[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


class Client:
    """A client of one server; one connection, opened again when it breaks."""

    def __init__(self, address):
        self.address, self.connection = address, None

    def call(self, method, path, body=None, headers=None):
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=300)
            try:
                self.connection.request(method, path, body, headers or {})
                response = self.connection.getresponse()
                return response.status, response.read()
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.connection = None
                if attempt == 2:
                    raise

    def write(self, body):
        status, answer = self.call("POST", "/api/v1/write", body, {
            "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0"})
        if status not in (200, 204):
            raise SystemExit(f"{self.address} refused a write: {status} {answer[:300]!r}")

    def query(self, path, **parameters):
        body = urllib.parse.urlencode(parameters)
        _, answer = self.call("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        return json.loads(answer)

    def raw_query(self, path, **parameters):
        body = urllib.parse.urlencode(parameters)
        return self.call("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
