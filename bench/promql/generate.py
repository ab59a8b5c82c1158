"""Draws queries from PromQL's grammar over the metrics of series.differential()."""
import random

COUNTERS = ["demo_requests_total", "demo_latency_bucket", "istio_requests_total"]
GAUGES = ["demo_memory_bytes", "demo_temperature", "demo_limit", "demo_sparse", "kepler_node_cpu_watts"]
LABELS = ["group", "instance", "job", "le", "kind"]
VALUES = {"group": ["canary", "production", "baseline", "none"], "instance": ["0", "1", "2", "3"],
          "job": ["api", "app", ""], "le": ["0.5", "+Inf"], "kind": ["soft", ""]}
SPANS = ["30s", "1m", "2m", "5m", "13m", "1h", "17s"]


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def pick(self, items):
        return self.rng.choice(items)

    def chance(self, share):
        return self.rng.random() < share

    def matchers(self):
        found = []
        for label in self.rng.sample(["group", "instance", "job"], self.rng.choice([0, 0, 1, 1, 2])):
            value, op = self.pick(VALUES[label]), self.pick(["=", "!=", "=~", "!~"])
            if "~" in op:
                value = self.pick([f"{value}|{self.pick(VALUES[label])}", f"{value[:1]}.*", ".*", ".+", f"^{value}$", "[a-c0-2].*"])
            found.append(f'{label}{op}"{value}"')
        return found

    def modifiers(self):
        text = ""
        if self.chance(0.12):
            text += f" offset {self.pick(['', '', '-'])}{self.pick(SPANS)}"
        if self.chance(0.08):
            text += " @ " + self.pick(["start()", "end()", str(self.base + self.rng.randint(0, 3600))])
        return text

    def selector(self, names=None, range_=None):
        name = self.pick(names or (COUNTERS[:2] + GAUGES))
        matchers = self.matchers()
        if name.startswith(("istio", "kepler")):
            matchers = ['reporter="source",response_code=~"4..|200"'] if name.startswith("istio") else ['zone!="core"']
        text = name
        if self.chance(0.05) and name.startswith("demo"):
            text, matchers = "", [f'__name__=~"{name[:8]}.*"', *matchers]
        if matchers:
            text += "{" + ",".join(matchers) + "}"
        return text + (f"[{range_}]" if range_ else "") + self.modifiers()

    def range_vector(self, depth, counter):
        if depth > 0 and self.chance(0.15):
            step = self.pick(["", "15s", "1m", "37s"])
            return f"({self.vector(depth - 1)})[{self.pick(['2m', '5m', '10m'])}:{step}]" + self.modifiers()
        return self.selector(COUNTERS if counter and self.chance(0.9) else None, self.pick(SPANS))

    def scalar(self, depth):
        kind = self.rng.random()
        if depth <= 0 or kind < 0.7:
            return self.pick(["0", "1", "2", "-3.5", "0.9", "1e3", "NaN", "Inf", "-Inf", "0x1f", "100"])
        if kind < 0.8:
            return "time()"
        if kind < 0.85:
            return "pi()"
        if kind < 0.92:
            return f"scalar({self.vector(depth - 1)})"
        return f"({self.scalar(depth - 1)} {self.pick('+-*/%^')} {self.scalar(depth - 1)})"

    def quantile(self):
        return self.pick(["0.5", "0.9", "0.99", "0", "1", "-1", "1.2", "0.25", "NaN"])

    def call(self, depth):
        kind = self.rng.random()
        if kind < 0.4:
            name = self.pick(["rate", "increase", "irate", "resets", "changes", "delta", "idelta", "deriv",
                              "sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time",
                              "last_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time",
                              "quantile_over_time", "predict_linear", "absent_over_time"])
            counter = name in ("rate", "increase", "irate", "resets")
            inside = self.range_vector(depth - 1, counter)
            if name == "quantile_over_time":
                return f"{name}({self.quantile()}, {inside})"
            if name == "predict_linear":
                return f"{name}({inside}, {self.pick(['60', '3600', '-30', self.scalar(1)])})"
            return f"{name}({inside})"
        vector = self.vector(depth - 1)
        if kind < 0.65:
            return self.pick(["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad", "sin",
                              "cos", "tan", "atan", "sinh", "cosh", "tanh", "asinh", "minute", "hour", "day_of_week",
                              "day_of_month", "day_of_year", "days_in_month", "month", "year", "timestamp",
                              "absent", "sort", "sort_desc"]) + f"({vector})"
        if kind < 0.75:
            return self.pick([f"round({vector})", f"round({vector}, {self.pick(['0.1', '5', '10', '0.25'])})",
                              f"clamp({vector}, {self.scalar(1)}, {self.scalar(1)})",
                              f"clamp_min({vector}, {self.scalar(1)})", f"clamp_max({vector}, {self.scalar(1)})"])
        if kind < 0.82:
            return f"histogram_quantile({self.quantile()}, " + self.pick([
                f"sum by (le{self.pick(['', ', group'])}) (rate(demo_latency_bucket[{self.pick(SPANS)}]))",
                "demo_latency_bucket", f"rate(demo_latency_bucket{{group=\"canary\"}}[{self.pick(SPANS)}])", vector]) + ")"
        if kind < 0.9:
            return self.pick([
                f'label_replace({vector}, "{self.pick(LABELS + ["new"])}", "{self.pick(["$1", "x-$1", "", "${1}y"])}", '
                f'"{self.pick(LABELS)}", "{self.pick(["(.*)", "(c).*", "([a-z]+)", "x(.*)"])}")',
                f'label_join({vector}, "{self.pick(["new", "group"])}", "{self.pick(["-", ""])}", "group", "instance")'])
        if kind < 0.95:
            return f"vector({self.scalar(depth)})"
        # Not below the lowest bound: 3.5 gives NaN there, which later releases (and Prometheus's own tests) mend.
        return f"histogram_fraction({self.pick(['0.1', '0.3', '1'])}, {self.pick(['1', '0.7', 'Inf'])}, rate(demo_latency_bucket[5m]))"

    def grouping(self):
        if self.chance(0.25):
            return ""
        names = ", ".join(self.rng.sample(LABELS[:3] + ["__name__"] * self.chance(0.08), self.rng.randint(0, 2)))
        return f" {self.pick(['by', 'without'])} ({names}) "

    def aggregation(self, depth):
        op = self.pick(["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile",
                        "count_values", "sum", "avg"])
        parameter = ""
        if op in ("topk", "bottomk"):
            parameter = self.pick(["1", "2", "3", "0", "5", "-1"]) + ", "
        elif op == "quantile":
            parameter = self.quantile() + ", "
        elif op == "count_values":
            parameter = f'"{self.pick(["value", "group"])}", '
        if op in ("topk", "bottomk"):
            # Which of equal values is kept is nobody's promise: only what has none equal is asked for.
            return f"{op}{self.grouping()}({parameter}{self.distinct()})"
        return f"{op}{self.grouping()}({parameter}{self.vector(depth - 1)})"

    def distinct(self):
        selector = self.selector(["demo_memory_bytes", "kepler_node_cpu_watts"])
        return self.pick([selector, f"avg_over_time({self.selector(['demo_memory_bytes'], '5m')})", f"{selector} * 3",
                          f"sum by (instance, zone) ({selector})"])

    def matching(self, sets):
        if self.chance(0.35):
            return ""
        names = ", ".join(self.rng.sample(LABELS[:3], self.rng.randint(0, 3)))
        text = f" {self.pick(['on', 'ignoring'])} ({names})"
        if not sets and self.chance(0.4):
            text += f" {self.pick(['group_left', 'group_right'])}({self.pick(['', '', 'job', 'group', 'kind'])})"
        return text

    def binary(self, depth):
        if self.chance(0.25):
            op = self.pick(["and", "or", "unless"])
            return f"({self.vector(depth - 1)} {op}{self.matching(True)} {self.vector(depth - 1)})"
        op = self.pick(["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<="])
        bool_ = " bool" if op in ("==", "!=", ">", "<", ">=", "<=") and self.chance(0.4) else ""
        if self.chance(0.4):
            sides = [self.vector(depth - 1), self.scalar(depth - 1)]
            self.rng.shuffle(sides)
            return f"({sides[0]} {op}{bool_} {sides[1]})"
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        return f"({left} {op}{bool_}{self.matching(False)} {right})"

    def vector(self, depth):
        if depth <= 0:
            return self.selector()
        kind = self.rng.random()
        if kind < 0.15:
            return self.selector()
        if kind < 0.5:
            return self.call(depth)
        if kind < 0.72:
            return self.aggregation(depth)
        if kind < 0.95:
            return self.binary(depth)
        return self.pick(["-", "+"]) + self.selector()

    def query(self, base):
        self.base = base
        if self.chance(0.03):
            return self.scalar(3)
        return self.vector(self.rng.choice([1, 2, 2, 3, 3, 4]))
