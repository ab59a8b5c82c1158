"""The faults that an extender like ours can really have, each under the real kube-scheduler, required and ignorable.

What cannot be ours (null, {}, HTML, empty bodies, names nobody sent) is shown by scheduler/tests/scheduler/garbage.rs.
docs/scheduler.md maps all 48 cases of the matrix.
"""
import json, os

from cluster import free_ports, pod_object, until
from roles import Extender


class Gone:
    """An address where nobody listens."""
    def __init__(self):
        self.port = free_ports(1)[0]


class Stranger:
    """A control plane as somebody sees it whose token is not known."""
    def __init__(self, plane, folder):
        with open(plane.kubeconfig) as f:
            config = json.load(f)
        config["users"][0]["user"]["token"] = "nobody"
        self.kubeconfig = os.path.join(folder, "kubeconfig-stranger")
        with open(self.kubeconfig, "w") as f:
            json.dump(config, f)


def condition(world, pod):
    """Why a pod is not scheduled: reason and message of its condition."""
    found = world.plane.api("GET", "/api/v1/namespaces/default/pods/" + pod)
    for one in found.get("status", {}).get("conditions", []):
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return one.get("reason"), one.get("message", "")
    return None


def bound(world, pod, seconds=30):
    until("%s bound" % pod, lambda: pod in world.plane.places(), seconds)


def refused(world, pod, reason, words):
    found = until("%s refused" % pod, lambda: condition(world, pod), 30)
    assert found[0] == reason and words in found[1], "%s: %s, expected %s: %s" % (pod, found, reason, words)
    assert pod not in world.plane.places(), pod


def one(world, name, extender, verbs, ignorable, check, **more):
    """One pod under one kube-scheduler; the pod is deleted afterwards."""
    world.with_scheduler(Extender.entry(extender, verbs, ignorable=ignorable))
    pod = "%s-%s" % (name, "ignorable" if ignorable else "required")
    world.plane.pods([pod_object(pod, **more)])
    check(pod)
    world.plane.stop_scheduler()
    world.plane.api("DELETE", "/api/v1/namespaces/default/pods/%s?gracePeriodSeconds=0" % pod, accept=(200, 404))


def nobody_listens(world):
    one(world, "gone", Gone(), ("filter", "prioritize"), True, lambda pod: bound(world, pod))
    one(world, "gone", Gone(), ("filter", "prioritize"), False,
        lambda pod: refused(world, pod, "SchedulerError", "connection refused"))


def it_hangs(world):
    extender = world.scratch.add(world.new_extender(settings=["scheduler.bind=true"]))
    for verb in ("filter", "prioritize", "bind"):
        for ignorable in (True, False):
            def check(pod):
                if ignorable or verb == "prioritize":
                    return bound(world, pod)
                refused(world, pod, "SchedulerError", "exceeded")
                extender.program.resume()
                bound(world, pod)
            extender.program.pause()
            try:
                one(world, "hang-" + verb, extender, (verb,), ignorable, check)
            finally:
                extender.program.resume()


def it_answers_with_an_error(world):
    small = world.scratch.add(world.new_extender(settings=["scheduler.max_body_bytes=1024"]))
    long = {"example.com/long": "x" * 2000}
    for verb in ("filter", "prioritize"):
        for ignorable in (True, False):
            def check(pod):
                if ignorable or verb == "prioritize":
                    return bound(world, pod)
                refused(world, pod, "SchedulerError", "code 413")
            one(world, "long-" + verb, small, (verb,), ignorable, check, annotations=long)
    assert small.metric('wattle_scheduler_rejections_total{reason="too_long"}') >= 4


def it_refuses_everybody(world):
    caps = "scheduler.power_caps=" + json.dumps([{"label": "kubernetes.io/hostname", "watts": 1}])
    capped = world.scratch.add(world.new_extender(settings=[caps]))
    until("predictions", lambda: capped.metric("wattle_scheduler_data_age_seconds") >= 0)
    for ignorable in (True, False):
        one(world, "capped", capped, ("filter",), ignorable,
            lambda pod: refused(world, pod, "Unschedulable", "3 the power cap would be exceeded"))


def it_may_not_bind(world):
    binder = world.scratch.add(world.new_extender(settings=["scheduler.bind=true"]))
    one(world, "binds", binder, ("prioritize", "bind"), False, lambda pod: bound(world, pod))
    assert binder.metric('wattle_scheduler_calls_total{code="200",verb="bind"}') == 1
    stranger = world.scratch.add(world.new_extender(settings=["scheduler.bind=true"],
                                                    plane=Stranger(world.plane, world.scratch.folder)))
    one(world, "stranger", stranger, ("bind",), True, lambda pod: bound(world, pod))
    one(world, "stranger", stranger, ("bind",), False,
        lambda pod: refused(world, pod, "SchedulerError", "cannot bind pod"))
    assert stranger.metric('wattle_scheduler_rejections_total{reason="not_bound"}') >= 2


def fault_matrix(world):
    for part in (nobody_listens, it_hangs, it_answers_with_an_error, it_refuses_everybody, it_may_not_bind):
        part(world)
