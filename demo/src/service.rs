//! The eight services of DeathStarBench hotelReservation: who calls whom, how often and in which order.
//!
//! Call graph, ports and request mix follow the application's manifests and its mixed workload (commit 6ecb0970). Left out:
//! its databases and caches; their share is part of each service's own time. Service times are the demo's own choice.

/// One service and the requests it answers.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its short name.
    pub(crate) name: &'static str,
    /// Port of the Service and of its pods.
    pub(crate) port: u16,
    /// Mean time that a request holds a core of the reference machine, in milliseconds.
    pub(crate) work_ms: f64,
    /// The requests it answers.
    pub(crate) routes: &'static [Route],
}

/// One kind of request, and the calls made to answer it, in this order.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) calls: &'static [Call],
}

/// A call to another service.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) service: &'static str,
    pub(crate) path: &'static str,
}

/// A Deployment: one version of a service.
#[derive(Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) service: &'static str,
    pub(crate) version: &'static str,
    /// What its pods ask the scheduler for (`wattle.dev/objective`).
    pub(crate) objective: &'static str,
}

/// One kind of request that users send.
#[derive(Debug)]
pub(crate) struct UserRequest {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Share of all requests.
    pub(crate) share: f64,
}

/// Namespace of the application.
pub(crate) const NAMESPACE: &str = "hotel";

/// Processor request of every pod, in millicores, as the application's manifests have it.
pub(crate) const CPU_REQUEST_MILLICORES: u32 = 100;

const SEARCH: Call = Call { service: "search", path: "/nearby" };
const GEO: Call = Call { service: "geo", path: "/nearby" };
const RATE: Call = Call { service: "rate", path: "/rates" };
const PROFILE: Call = Call { service: "profile", path: "/profiles" };
const RECOMMENDATION: Call = Call { service: "recommendation", path: "/recommendations" };
const USER: Call = Call { service: "user", path: "/check" };
const RESERVATION: Call = Call { service: "reservation", path: "/availability" };

/// All services.
pub(crate) const SERVICES: [Service; 8] = [
    Service {
        name: "frontend",
        port: 5000,
        work_ms: 18.0,
        routes: &[
            Route { method: "GET", path: "/hotels", calls: &[SEARCH, RESERVATION, PROFILE] },
            Route { method: "GET", path: "/recommendations", calls: &[RECOMMENDATION, PROFILE] },
            Route { method: "POST", path: "/user", calls: &[USER] },
            Route { method: "POST", path: "/reservation", calls: &[USER, RESERVATION] },
        ],
    },
    Service { name: "profile", port: 8081, work_ms: 36.0, routes: &[leaf("/profiles")] },
    Service {
        name: "search",
        port: 8082,
        work_ms: 48.0,
        routes: &[Route { method: "GET", path: "/nearby", calls: &[GEO, RATE] }],
    },
    Service { name: "geo", port: 8083, work_ms: 30.0, routes: &[leaf("/nearby")] },
    Service { name: "rate", port: 8084, work_ms: 36.0, routes: &[leaf("/rates")] },
    Service { name: "recommendation", port: 8085, work_ms: 72.0, routes: &[leaf("/recommendations")] },
    Service { name: "user", port: 8086, work_ms: 24.0, routes: &[leaf("/check")] },
    Service { name: "reservation", port: 8087, work_ms: 42.0, routes: &[leaf("/availability")] },
];

const fn leaf(path: &'static str) -> Route {
    Route { method: "GET", path, calls: &[] }
}

/// What users send.
pub(crate) const REQUESTS: [UserRequest; 4] = [
    UserRequest { method: "GET", path: "/hotels", share: 0.6 },
    UserRequest { method: "GET", path: "/recommendations", share: 0.39 },
    UserRequest { method: "POST", path: "/user", share: 0.005 },
    UserRequest { method: "POST", path: "/reservation", share: 0.005 },
];

/// The Deployments, in the order in which their first pods are dealt out to the nodes (which evens the load out).
pub(crate) const WORKLOADS: [Workload; 9] = [
    workload("profile", "profile", "v1", "balanced"),
    workload("search", "search", "v1", "balanced"),
    workload("frontend", "frontend", "v1", "latency"),
    workload("rate", "rate", "v1", "balanced"),
    workload("reservation", "reservation", "v1", "latency"),
    workload("geo", "geo", "v1", "balanced"),
    workload("recommendation-v2", "recommendation", "v2", "energy"),
    workload("user", "user", "v1", "balanced"),
    workload("recommendation-v1", "recommendation", "v1", "energy"),
];

const fn workload(
    name: &'static str,
    service: &'static str,
    version: &'static str,
    objective: &'static str,
) -> Workload {
    Workload { name, service, version, objective }
}

impl Workload {
    /// Gives the service that this is a version of.
    pub(crate) fn service(&self) -> &'static Service {
        find(self.service).expect("every workload names a service of the table")
    }
}

impl Service {
    /// Gives the authority that its clients ask for.
    pub(crate) fn authority(&self) -> String {
        format!("{}.{NAMESPACE}.svc.cluster.local:{}", self.name, self.port)
    }

    /// Finds what is asked for.
    pub(crate) fn route(&self, method: &str, path: &str) -> Option<&'static Route> {
        self.routes.iter().find(|route| route.method == method && route.path == path)
    }
}

/// Finds a service by its short name.
pub(crate) fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Walks the calls that one user request leads to.
    fn edges(service: &Service, method: &str, path: &str, into: &mut Vec<(String, String)>) {
        let route = service.route(method, path).expect("an existing route");
        for call in route.calls {
            into.push((service.name.to_owned(), call.service.to_owned()));
            edges(find(call.service).expect("an existing service"), "GET", call.path, into);
        }
    }

    #[test]
    fn every_call_ends_at_a_route_and_every_service_has_a_workload() {
        let frontend = find("frontend").expect("the frontend");
        for request in &REQUESTS {
            edges(frontend, request.method, request.path, &mut Vec::new());
        }

        let served: BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.service().name).collect();
        assert_eq!(served.len(), SERVICES.len());
        assert!((REQUESTS.iter().map(|request| request.share).sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn calls_and_mix_are_those_of_the_recorded_facts() {
        let Some(facts) = crate::corpus::read("hotelres-facts/hotelres.json") else { return };
        let facts: serde_json::Value = serde_json::from_str(&facts).expect("JSON");

        let business = facts["services"]["business"].as_array().expect("a list");
        for (name, endpoint) in facts["endpoints"].as_object().expect("endpoints") {
            let request = REQUESTS.iter().find(|request| endpoint["path"] == request.path).expect("the same endpoint");
            assert_eq!(endpoint["share"].as_f64(), Some(request.share), "{name}");
            let mut ours = Vec::new();
            edges(find("frontend").expect("the frontend"), request.method, request.path, &mut ours);
            let theirs: Vec<(String, String)> = facts["calls"][name]
                .as_array()
                .expect("a list of calls")
                .iter()
                .filter(|edge| business.contains(&edge[1]))
                .map(|edge| serde_json::from_value(edge.clone()).expect("a pair of names"))
                .collect();
            assert_eq!(ours, theirs, "{name}");
        }
    }
}
