"""Compares answers of two servers, sample by sample."""

import re

TOLERANCE = 1e-9
# For what is told apart as a matter of the last digit only.
LOOSE = 1e-5
# Notes of releases after 3.5, which ours gives and the Prometheus of the bench does not.
LATER = ("sort is ineffective for range queries",)


def same(one, other, tolerance=TOLERANCE):
    if one == other:
        return True
    a, b = float(one), float(other)
    if a != a or b != b:
        return a != a and b != b
    # A variance of what is nearly equal is nothing but last digits.
    least = 1e-300 if tolerance == TOLERANCE else 1e-18
    return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)) or abs(a - b) < least


def key(metric, digits=None):
    return tuple(sorted((name, value if digits is None else rounded(value, digits)) for name, value in metric.items()))


def rounded(text, digits):
    """Gives a number to some digits; any other text as it is."""
    try:
        return f"{float(text):.{digits}g}"
    except ValueError:
        return text


# Functions whose last digit nobody promises (Go's and C's libraries differ in it) or that depend on an order of summing up.
LAST_DIGIT = re.compile(r"\b(a?(sin|cos|tan)h?|atan2|exp|ln|log2|log10|sqrt|std(dev|var)\w*|avg\w*|sum\w*|deriv|predict_linear"
                        r"|\w*rate|increase|histogram_\w+|quantile\w*)\b|\^")
COMPARISON = re.compile(r"==|!=(?!\s*\")|[<>]")


FRACTION = re.compile(r"histogram_fraction\([^()]*, rate\([^()]*\)\)")


def explained(query, ours, theirs, ask):
    """Gives the class that a difference is of, or None; `ask` gives both answers to a part of the query.

    docs/collector.md tells why each class is as it is.
    """
    refused = ours.get("error", "")
    if "many-to-one matching must be explicit" in refused and theirs["status"] == "success" and COMPARISON.search(query):
        return "a comparison that needs many-to-one, whose surplus the filter hides: refused since 3.6"
    if "error" in (ours["status"], theirs["status"]):
        return None
    for part in set(FRACTION.findall(query)):
        mine, other = ask(part)
        if difference(mine, other) and str(other.get("data")).count("NaN") > str(mine.get("data")).count("NaN"):
            return "histogram_fraction below the lowest bound: a number since 3.6, NaN before"
    if re.search(r"timestamp\(\s*\+", query):
        return "timestamp(+x): the parser takes it for timestamp(x), whose time is the sample's"
    # The subtraction or the printing of a label shows the last digit; the rest is the same.
    # Of a remainder of something large nothing but the sign is left.
    loose = float("inf") if "%" in query else LOOSE
    is_loose = LAST_DIGIT.search(query) and difference(ours, theirs, tolerance=loose, digits=12) is None
    return "the last digit of a function, shown by a label of count_values or by a subtraction" if is_loose else None


def difference(ours, theirs, notes=True, tolerance=TOLERANCE, digits=None):
    """Gives a line that says what differs, or None."""
    if ours["status"] != theirs["status"]:
        return f"ours {ours['status']} {ours.get('error', '')[:200]}, theirs {theirs['status']} {theirs.get('error', '')[:200]}"
    if ours["status"] == "error":
        if ours["errorType"] != theirs["errorType"]:
            return f"error type: ours {ours['errorType']} ({ours['error']}), theirs {theirs['errorType']} ({theirs['error']})"
        return None
    a, b = ours["data"], theirs["data"]
    if a["resultType"] != b["resultType"]:
        return f"type: ours {a['resultType']}, theirs {b['resultType']}"
    kind = a["resultType"]
    if kind in ("scalar", "string"):
        if kind == "string":
            return None if a["result"][1] == b["result"][1] else f"ours {a['result']}, theirs {b['result']}"
        return None if same(a["result"][1], b["result"][1], tolerance) else f"ours {a['result']}, theirs {b['result']}"
    field = "value" if kind == "vector" else "values"
    left = {key(one["metric"], digits): one[field] for one in a["result"]}
    right = {key(one["metric"], digits): one[field] for one in b["result"]}
    if len(left) != len(a["result"]):
        return "ours has a series twice"
    if left.keys() != right.keys():
        more, less = left.keys() - right.keys(), right.keys() - left.keys()
        return f"series: only ours {[dict(k) for k in list(more)[:2]]} ({len(more)}), only theirs {[dict(k) for k in list(less)[:2]]} ({len(less)})"
    for name, mine in left.items():
        other = right[name]
        pairs = [(mine, other)] if kind == "vector" else list(zip(mine, other))
        if kind != "vector" and [p[0] for p in mine] != [p[0] for p in other]:
            return f"{dict(name)}: times: ours {len(mine)}, theirs {len(other)}"
        for one, two in pairs:
            if abs(one[0] - two[0]) > 1e-9 or not same(one[1], two[1], tolerance):
                return f"{dict(name)}: ours {one}, theirs {two}"
    for kind in ("warnings", "infos") if notes else ():
        mine = [note for note in ours.get(kind, []) if not any(later in note for later in LATER)]
        if bool(mine) != (kind in theirs):
            return f"{kind}: ours {ours.get(kind)}, theirs {theirs.get(kind)}"
    return None
