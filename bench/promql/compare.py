"""Compares answers of two servers, sample by sample."""

TOLERANCE = 1e-9
# Notes of releases after 3.5, which ours gives and the Prometheus of the bench does not.
LATER = ("sort is ineffective for range queries",)


def same(one, other):
    if one == other:
        return True
    a, b = float(one), float(other)
    if a != a or b != b:
        return a != a and b != b
    return a == b or abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) or abs(a - b) < 1e-300


def key(metric):
    return tuple(sorted(metric.items()))


def difference(ours, theirs, notes=True):
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
        return None if same(a["result"][1], b["result"][1]) else f"ours {a['result']}, theirs {b['result']}"
    field = "value" if kind == "vector" else "values"
    left = {key(one["metric"]): one[field] for one in a["result"]}
    right = {key(one["metric"]): one[field] for one in b["result"]}
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
            if abs(one[0] - two[0]) > 1e-9 or not same(one[1], two[1]):
                return f"{dict(name)}: ours {one}, theirs {two}"
    for kind in ("warnings", "infos") if notes else ():
        mine = [note for note in ours.get(kind, []) if not any(later in note for later in LATER)]
        if bool(mine) != (kind in theirs):
            return f"{kind}: ours {ours.get(kind)}, theirs {theirs.get(kind)}"
    return None
