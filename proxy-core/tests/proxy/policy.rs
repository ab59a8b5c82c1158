//! Policies of the workload, asked at its inbound listener on the normalised path.

use wattle_contract::route::{AuthorizationPolicy, Operation, PolicyAction, Rule, StringMatch, Values};

use crate::kit::{Behaviour, Bench, Upstream, get, raw, series};
use crate::table::inbound_table;

#[tokio::test]
async fn a_denied_path_is_denied_however_it_is_written() {
    let application = Upstream::start(Behaviour::Answer(200)).await;
    let paths = Values { any_of: vec![StringMatch::Prefix("/admin".to_owned())], none_of: Vec::new() };
    let rule = Rule { to: vec![Operation { paths, ..Operation::default() }], ..Rule::default() };
    let mut table = inbound_table();
    table.policies = vec![AuthorizationPolicy {
        name: "hotel/no-admin".to_owned(),
        action: PolicyAction::Deny,
        rules: vec![rule],
        dry_run: false,
    }];
    let bench = Bench::with(table, wattle_proxy::Config::default(), Some(application.address)).await;

    assert_eq!(get(bench.inbound, "/public").await.status, 200);
    for path in
        ["/admin", "/admin?x=1", "/x/../admin", "/%61dmin", "/x/%2e%2e/admin", "/x/./y/../../admin", "/%6%31dmin"]
    {
        let answer =
            raw(bench.inbound, format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.ends_with("RBAC: access denied"), "{path}: {answer}");
    }

    assert_eq!(application.hits(), 1);
    let metrics = bench.metrics_after(8).await;
    assert_eq!(series(&metrics, "istio_requests_total", &["response_code=\"403\""]), Some(7.0), "{metrics}");
}
