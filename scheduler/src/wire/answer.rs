//! The answers: one JSON value each, written straight into the bytes that are sent.

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Candidates, Victims};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FilterAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<NodeList<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_names: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed_nodes: BTreeMap<&'a str, &'static str>,
}

#[derive(Serialize)]
struct NodeList<'a> {
    metadata: Empty,
    items: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostPriority<'a> {
    host: &'a str,
    score: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BindAnswer<'a> {
    error: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetaVictims<'a> {
    pods: Vec<MetaPod<'a>>,
    #[serde(rename = "NumPDBViolations")]
    broken_budgets: i64,
}

#[derive(Serialize, Deserialize)]
struct MetaPod<'a> {
    #[serde(rename = "UID")]
    uid: &'a str,
}

/// Writes the answer to a filter call in the kind that was asked: names for names, the same bytes for whole nodes.
///
/// `refused` maps a node to one constant text per reason; such nodes are left out. A node named twice is answered once.
#[must_use]
pub fn filter_answer(candidates: &Candidates<'_>, refused: &BTreeMap<&str, &'static str>) -> Vec<u8> {
    let mut seen = std::collections::HashSet::with_capacity(candidates.len());
    let answer = match candidates {
        Candidates::Names(names) => {
            let kept = names.iter().map(|name| name.as_str());
            let kept = kept.filter(|name| !refused.contains_key(name) && seen.insert(*name));
            FilterAnswer { nodes: None, node_names: Some(kept.collect()), failed_nodes: refused.clone() }
        }
        Candidates::Nodes(nodes) => {
            let kept = nodes.iter().filter(|node| !node.name.as_str().is_empty());
            let kept = kept.filter(|node| !refused.contains_key(node.name.as_str()) && seen.insert(node.name.as_str()));
            let items = kept.map(|node| node.raw).collect();
            let list = NodeList { metadata: Empty {}, items };
            FilterAnswer { nodes: Some(list), node_names: None, failed_nodes: refused.clone() }
        }
    };
    written(&answer)
}

/// Writes the answer to a prioritize call.
#[must_use]
pub fn prioritize_answer<'a>(scores: impl Iterator<Item = (&'a str, u32)>) -> Vec<u8> {
    let scores: Vec<HostPriority<'a>> = scores.map(|(host, score)| HostPriority { host, score }).collect();
    written(&scores)
}

/// Writes the answer to a preempt call: always meta victims, in both modes.
#[must_use]
pub fn preempt_answer(victims: &[(super::Name<'_>, Victims<'_>)]) -> Vec<u8> {
    struct ByNode<'a>(&'a [(super::Name<'a>, Victims<'a>)]);
    impl Serialize for ByNode<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len()))?;
            for (node, victims) in self.0 {
                let pods = victims.uids.iter().map(|uid| MetaPod { uid: uid.as_str() }).collect();
                map.serialize_entry(node, &MetaVictims { pods, broken_budgets: victims.broken_budgets })?;
            }
            map.end()
        }
    }
    #[derive(Serialize)]
    struct PreemptAnswer<'a> {
        #[serde(rename = "NodeNameToMetaVictims")]
        victims: ByNode<'a>,
    }
    written(&PreemptAnswer { victims: ByNode(victims) })
}

/// Writes the answer to a bind call; an empty `error` means bound.
#[must_use]
pub fn bind_answer(error: &str) -> Vec<u8> {
    written(&BindAnswer { error })
}

fn written(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("text keys and plain values always serialize")
}

#[cfg(test)]
mod tests {
    use super::super::ExtenderArgs;
    use super::*;

    #[test]
    fn filter_answers_a_subset_in_kind_and_once_each() {
        let args = ExtenderArgs::parse(br#"{"NodeNames":["a","b","a","c"]}"#).expect("well-formed");

        let answer = filter_answer(&args.candidates, &BTreeMap::from([("b", "over the power cap")]));

        assert_eq!(
            String::from_utf8_lossy(&answer),
            r#"{"NodeNames":["a","c"],"FailedNodes":{"b":"over the power cap"}}"#
        );
    }

    #[test]
    fn an_answer_without_nodes_is_still_a_list() {
        let args = ExtenderArgs::parse(br#"{"NodeNames":[]}"#).expect("well-formed");

        assert_eq!(filter_answer(&args.candidates, &BTreeMap::new()), br#"{"NodeNames":[]}"#);
        assert_eq!(prioritize_answer(std::iter::empty()), b"[]");
        assert_eq!(preempt_answer(&[]), br#"{"NodeNameToMetaVictims":{}}"#);
        assert_eq!(bind_answer(""), br#"{"Error":""}"#);
    }
}
