use wattle_contract::route::{self, Condition, Operation, Source, StringMatch, Values};

use super::*;
use crate::head::Fields;

fn policy(name: &str, action: PolicyAction, rules: Vec<route::Rule>) -> AuthorizationPolicy {
    AuthorizationPolicy { name: name.to_owned(), action, rules, dry_run: false }
}

fn to(paths: Values) -> route::Rule {
    route::Rule { to: vec![Operation { paths, ..Operation::default() }], ..route::Rule::default() }
}

fn from(source: Source) -> route::Rule {
    route::Rule { from: vec![source], ..route::Rule::default() }
}

fn only(text: StringMatch) -> Values {
    Values { any_of: vec![text], none_of: Vec::new() }
}

fn exact(text: &str) -> StringMatch {
    StringMatch::Exact(text.to_owned())
}

fn compile(policies: &[AuthorizationPolicy]) -> Policies {
    let mut reasons = Vec::new();
    let compiled = Policies::compile(policies, &mut reasons);
    assert!(reasons.is_empty(), "{reasons:?}");
    compiled
}

fn allows(policies: &[AuthorizationPolicy], path: &str, headers: &Fields) -> bool {
    let subject = Subject {
        host: "Svc.Example:8080",
        method: "GET",
        path,
        headers,
        peer: [10, 1, 2, 3].into(),
        local: [10, 9, 9, 9].into(),
        port: 8080,
    };
    compile(policies).decide(&subject) == Verdict::Allowed
}

#[test]
fn deny_comes_before_allow_and_an_allow_without_rules_denies_everything() {
    let headers = Fields::default();
    let everything = policy("all", PolicyAction::Allow, vec![route::Rule::default()]);
    let nothing = policy("none", PolicyAction::Allow, vec![]);
    let admin = policy("admin", PolicyAction::Deny, vec![to(only(StringMatch::Prefix("/admin".to_owned())))]);

    assert!(allows(&[], "/", &headers), "without policies all is allowed");
    assert!(!allows(std::slice::from_ref(&nothing), "/", &headers));
    assert!(allows(&[nothing, everything.clone()], "/", &headers), "allows add up");
    assert!(allows(&[everything.clone(), admin.clone()], "/", &headers));
    assert!(!allows(&[everything, admin.clone()], "/admin/x", &headers));
    assert!(allows(&[AuthorizationPolicy { dry_run: true, ..admin }], "/admin", &headers), "on trial");
}

#[test]
fn without_a_certificate_nobody_has_a_principal_and_everybody_lacks_one() {
    let headers = Fields::default();
    let wanted = Source { principals: only(StringMatch::Present), ..Source::default() };
    let unwanted = Values { any_of: Vec::new(), none_of: vec![exact("cluster.local/ns/a/sa/b")] };
    let others = Source { principals: unwanted, ..Source::default() };

    assert!(!allows(&[policy("a", PolicyAction::Allow, vec![from(wanted)])], "/", &headers));
    assert!(!allows(&[policy("d", PolicyAction::Deny, vec![from(others)])], "/", &headers));
}

#[test]
fn parts_hold_together_and_entries_suffice_alone() {
    let mut headers = Fields::default();
    headers.push(b"x-team", b"blue");
    let when = |key: &str, values| vec![Condition { key: key.to_owned(), values }];
    let rule = |block: &str, team: &str| route::Rule {
        from: vec![Source { ip_blocks: vec![block.to_owned()], ..Source::default() }],
        to: vec![Operation { hosts: only(exact("svc.example:8080")), ports: vec![8080], ..Operation::default() }],
        when: when("request.headers[x-team]", only(exact(team))),
    };
    let allow = |rules| [policy("p", PolicyAction::Allow, rules)];

    assert!(allows(&allow(vec![rule("10.0.0.0/8", "blue")]), "/", &headers));
    assert!(!allows(&allow(vec![rule("11.0.0.0/8", "blue")]), "/", &headers));
    assert!(!allows(&allow(vec![rule("10.0.0.0/8", "red")]), "/", &headers));
    assert!(allows(&allow(vec![rule("11.0.0.0/8", "blue"), rule("10.0.0.0/8", "blue")]), "/", &headers));
}

#[test]
fn what_cannot_be_evaluated_is_a_reason_to_refuse() {
    let when = vec![Condition { key: "request.auth.claims[iss]".to_owned(), values: only(exact("x")) }];
    let claims = policy("claims", PolicyAction::Allow, vec![route::Rule { when, ..route::Rule::default() }]);
    let custom = policy("custom", PolicyAction::Custom("ext".to_owned()), vec![route::Rule::default()]);
    let mut reasons = Vec::new();

    Policies::compile(&[claims, custom], &mut reasons);

    assert_eq!(reasons.len(), 2, "{reasons:?}");
}
