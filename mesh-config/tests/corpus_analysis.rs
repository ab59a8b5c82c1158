//! Istio's analyser cases, and the findings that the seeds' resources deserve.

mod common;

use std::collections::BTreeMap;

use common::corpus;
use serde_json::Value;
use wattle_mesh_config::{Documents, Finding, SourceText, analyse};

/// Which of our rules stand for an analyser of Istio, and by which code each message type goes.
fn rules_of(analyzer: &str) -> &'static [(&'static str, &'static str)] {
    match analyzer {
        "deprecation.FieldAnalyzer" => &[("deprecated-field", "Deprecated")],
        "gateway.IngressGatewayPortAnalyzer" => &[
            ("gateway-selects-nothing", "ReferencedResourceNotFound"),
            ("gateway-port-not-on-service", "GatewayPortNotDefinedOnService"),
        ],
        "gateway.ConflictingGatewayAnalyzer" => &[("gateway-conflict", "ConflictingGateways")],
        "injection.Analyzer" => &[
            ("namespace-not-injected", "NamespaceNotInjected"),
            ("pod-missing-proxy", "PodMissingProxy"),
            ("several-injection-labels", "NamespaceMultipleInjectionLabels"),
        ],
        "service.PortNameAnalyzer" => &[("port-name", "PortNameIsNotUnderNamingConvention")],
        "sidecar.SelectorAnalyzer" => &[
            ("sidecar-selects-nothing", "ReferencedResourceNotFound"),
            ("sidecar-conflict", "ConflictingSidecarWorkloadSelectors"),
        ],
        "virtualservice.DestinationRuleAnalyzer" => &[("subset-not-found", "ReferencedResourceNotFound")],
        "virtualservice.GatewayAnalyzer" => &[
            ("gateway-not-found", "ReferencedResourceNotFound"),
            ("host-not-in-gateway", "VirtualServiceHostNotFoundInGateway"),
        ],
        "authz.AuthorizationPoliciesAnalyzer" => &[
            ("policy-selects-nothing", "NoMatchingWorkloadsFound"),
            ("namespace-not-found", "ReferencedResourceNotFound"),
        ],
        "destinationrule.CaCertificateAnalyzer" => &[
            ("tls-without-ca", "NoServerCertificateVerificationDestinationLevel"),
            ("tls-without-ca-on-port", "NoServerCertificateVerificationPortLevel"),
        ],
        "schemaValidation.CollectionValidationAnalyzer" => &[
            ("unreachable-rule", "VirtualServiceUnreachableRule"),
            ("ineffective-match", "VirtualServiceIneffectiveMatch"),
        ],
        "telemetry.SelectorAnalyzer" => &[
            ("telemetry-selects-nothing", "ReferencedResourceNotFound"),
            ("telemetry-conflict", "ConflictingTelemetryWorkloadSelectors"),
        ],
        "serviceentry.ProtocolAddressesAnalyzer" => &[("addresses-required", "ServiceEntryAddressesRequired")],
        "destinationrule.PodNotSelectedAnalyzer" => &[("subset-selects-no-pods", "DestinationRuleSubsetNotSelectPods")],
        other => panic!("an analyser that is not mapped: {other}"),
    }
}

fn read(folder: &std::path::Path, names: &[&str]) -> Documents {
    let sources: Vec<_> = names
        .iter()
        .map(|name| SourceText {
            name: (*name).to_owned(),
            text: std::fs::read_to_string(folder.join(name)).expect("readable"),
        })
        .collect();
    Documents::parse(&sources).0
}

#[test]
fn every_analyser_case_of_istio_is_answered_alike() {
    let Some(folder) = corpus("istio/analysis") else { return };
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("readable");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let (mut right, mut wrong) = (0, Vec::new());
    for case in &cases {
        let names: Vec<&str> =
            case["files"].as_array().expect("list").iter().map(|name| name.as_str().expect("text")).collect();
        let rules: BTreeMap<_, _> = rules_of(case["analyzer"].as_str().expect("text")).iter().copied().collect();
        let findings = analyse(&read(&folder, &names));
        let mut told: Vec<(String, String)> = findings
            .iter()
            .filter_map(|finding| Some(((*rules.get(finding.rule.as_str())?).to_owned(), finding.object.clone())))
            .collect();
        let mut wanted: Vec<(String, String)> = case["expected"]
            .as_array()
            .expect("list")
            .iter()
            .map(|pair| (pair[0].as_str().expect("text").to_owned(), pair[1].as_str().expect("text").to_owned()))
            .collect();
        told.sort();
        wanted.sort();
        if told == wanted {
            right += 1;
        } else {
            wrong.push(format!("{}:\n  wanted {wanted:?}\n  told   {told:?}", case["name"]));
        }
    }
    println!("analysis: {right}/{}", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Writes an object as the expectations do, with the namespace that holds where none is named.
fn object(finding: &Finding) -> String {
    let (kind, name) = finding.object.split_once(' ').unwrap_or((&finding.object, ""));
    if name.contains('/') { format!("{kind}/{name}") } else { format!("{kind}/default/{name}") }
}

#[test]
fn every_finding_of_the_seeds_is_told() {
    let Some(folder) = corpus("seeds") else { return };
    let text = std::fs::read_to_string(folder.join("expected-findings.json")).expect("readable");
    let expected: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    // 07b is what was printed of 07: one of them at a time.
    let all: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.starts_with("07b")).collect();
    let as_printed: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.starts_with("07-")).collect();
    let findings = analyse(&read(&folder, &all));
    let printed = analyse(&read(&folder, &as_printed));
    let (mut right, mut wrong) = (0, Vec::new());
    for one in &expected {
        let (code, wanted) = (one["code"].as_str().expect("text"), one["object"].as_str().expect("text"));
        let from = if one["files"][0] == "07b" { &printed } else { &findings };
        let of_object: Vec<&Finding> = from.iter().filter(|finding| object(finding) == wanted).collect();
        let told = match code {
            "ok" => of_object.is_empty(),
            _ => of_object.iter().any(|finding| finding.rule == code && finding.severity.as_str() == one["severity"]),
        };
        right += u32::from(told);
        if !told {
            wrong.push(format!(
                "{code} of {wanted}: told {:?}",
                of_object.iter().map(|one| (&one.rule, one.severity)).collect::<Vec<_>>()
            ));
        }
    }
    println!("seeds: {right}/{}", expected.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
