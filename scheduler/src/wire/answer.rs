//! The answers: one JSON value each, written straight into the bytes that are sent.

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{Candidates, Victims};
use crate::names::{HOST, Names, SCORE, write_entry};

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
/// `refused` has one entry a candidate, or none at all when nobody is refused; `why` is one constant text.
#[must_use]
pub fn filter_answer(names: &Names, candidates: &Candidates<'_>, refused: &[bool], why: &str) -> Vec<u8> {
    let is_refused = |at: usize| refused.get(at).copied().unwrap_or(false);
    let mut answer = Vec::with_capacity(32 + candidates.len() * 20);
    match &candidates.objects {
        None => {
            answer.extend_from_slice(br#"{"NodeNames":["#);
            let kept = candidates.numbers.iter().enumerate().filter(|(at, _)| !is_refused(*at));
            separated(&mut answer, kept, |answer, (_, number)| quoted(answer, names, candidates, *number));
        }
        Some(objects) => {
            answer.extend_from_slice(br#"{"Nodes":{"metadata":{},"items":["#);
            let kept = objects.iter().enumerate().filter(|(at, _)| !is_refused(*at));
            separated(&mut answer, kept, |answer, (_, object)| answer.extend_from_slice(object.get().as_bytes()));
        }
    }
    answer.extend_from_slice(if candidates.objects.is_some() { b"]}" } else { b"]" });
    if refused.contains(&true) {
        answer.extend_from_slice(br#","FailedNodes":{"#);
        let why = written(&why);
        let failed = candidates.numbers.iter().enumerate().filter(|(at, _)| is_refused(*at));
        separated(&mut answer, failed, |answer, (_, number)| {
            quoted(answer, names, candidates, *number);
            answer.push(b':');
            answer.extend_from_slice(&why);
        });
        answer.push(b'}');
    }
    answer.push(b'}');
    answer
}

/// Writes the answer to a prioritize call; `score` gives the score of each candidate by its place.
///
/// Nodes that score 0 are left out where any node scores more: a host that is not named counts 0 for kube-scheduler
/// (`prioritizeNodes` adds what it finds), and reading an entry costs it more than writing one costs here.
#[must_use]
pub fn prioritize_answer(names: &Names, candidates: &Candidates<'_>, score: impl Fn(usize) -> u32) -> Vec<u8> {
    let mut answer = Vec::with_capacity(2 + candidates.len() * 48);
    answer.push(b'[');
    let all_alike = (0..candidates.len()).all(|at| score(at) == 0);
    let scored = candidates.numbers.iter().enumerate().map(|(at, number)| (score(at), *number));
    separated(&mut answer, scored.filter(|(score, _)| *score > 0 || all_alike), |answer, (score, number)| {
        match names.entry(number as usize) {
            [] => write_entry(answer, candidates.name(number, names)),
            entry => answer.extend_from_slice(entry),
        }
        digits(answer, score);
        answer.push(b'}');
    });
    answer.push(b']');
    answer
}

fn separated<T>(answer: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            answer.push(b',');
        }
        write(answer, item);
    }
}

/// Writes a name as JSON: the piece of its entry between `{"Host":` and `,"Score":`.
fn quoted(answer: &mut Vec<u8>, names: &Names, candidates: &Candidates<'_>, number: u32) {
    let entry = names.entry(number as usize);
    match entry.get(HOST.len()..entry.len().saturating_sub(SCORE.len())) {
        Some(name) if !name.is_empty() => answer.extend_from_slice(name),
        _ => answer.extend_from_slice(&written(&candidates.name(number, names))),
    }
}

fn digits(answer: &mut Vec<u8>, mut number: u32) {
    let mut text = [0; 10];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    answer.extend_from_slice(&text[at..]);
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
    use wattle_contract::NodeName;

    #[test]
    fn filter_answers_a_subset_in_kind_and_once_each() {
        let names = Names::new(["b", "a"].map(NodeName::from));
        let args = ExtenderArgs::parse(br#"{"NodeNames":["a","b","a","c"]}"#, &names).expect("well-formed");

        let answer = filter_answer(&names, &args.candidates, &[false, true, false], "over the power cap");
        let all = filter_answer(&names, &args.candidates, &[], "");

        assert_eq!(
            String::from_utf8_lossy(&answer),
            r#"{"NodeNames":["a","c"],"FailedNodes":{"b":"over the power cap"}}"#
        );
        assert_eq!(String::from_utf8_lossy(&all), r#"{"NodeNames":["a","b","c"]}"#);
    }

    #[test]
    fn whole_nodes_are_answered_with_the_bytes_they_came_in() {
        let body = br#"{"Nodes":{"items":[{"metadata":{"name":"a"},"x":1.50},{"metadata":{"name":"b"}}]}}"#;
        let names = Names::default();
        let args = ExtenderArgs::parse(body, &names).expect("well-formed");

        let answer = filter_answer(&names, &args.candidates, &[false, true], "no");

        let expected =
            r#"{"Nodes":{"metadata":{},"items":[{"metadata":{"name":"a"},"x":1.50}]},"FailedNodes":{"b":"no"}}"#;
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }

    #[test]
    fn an_answer_without_nodes_is_still_a_list() {
        let names = Names::default();
        let args = ExtenderArgs::parse(br#"{"NodeNames":[]}"#, &names).expect("well-formed");

        assert_eq!(filter_answer(&names, &args.candidates, &[], ""), br#"{"NodeNames":[]}"#);
        assert_eq!(prioritize_answer(&names, &args.candidates, |_| 1), b"[]");
        assert_eq!(preempt_answer(&[]), br#"{"NodeNameToMetaVictims":{}}"#);
        assert_eq!(bind_answer(""), br#"{"Error":""}"#);
    }

    #[test]
    fn scores_of_known_and_unknown_names_read_alike() {
        let names = Names::new(["a"].map(NodeName::from));
        let args = ExtenderArgs::parse(br#"{"NodeNames":["a","q\"x"]}"#, &names).expect("well-formed");

        let answer = prioritize_answer(&names, &args.candidates, |at| [7, 1_000_000][at]);

        assert_eq!(String::from_utf8_lossy(&answer), r#"[{"Host":"a","Score":7},{"Host":"q\"x","Score":1000000}]"#);
    }

    #[test]
    fn a_node_that_scores_nothing_is_left_out_unless_all_do() {
        let names = Names::new(["a", "b"].map(NodeName::from));
        let args = ExtenderArgs::parse(br#"{"NodeNames":["a","b"]}"#, &names).expect("well-formed");

        let one = prioritize_answer(&names, &args.candidates, |at| [0, 10][at]);
        let none = prioritize_answer(&names, &args.candidates, |_| 0);

        assert_eq!(String::from_utf8_lossy(&one), r#"[{"Host":"b","Score":10}]"#);
        assert_eq!(String::from_utf8_lossy(&none), r#"[{"Host":"a","Score":0},{"Host":"b","Score":0}]"#);
    }
}
