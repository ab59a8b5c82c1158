//! Bad input: an answer that kube-scheduler can take, a counted reason, and a process that lives.

use std::time::Duration;

use wattle_scheduler::Config;

use crate::world::{World, args};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_and_counted() {
    let world = World::measured(Config::default(), 0).await;

    for (path, body, reason) in [
        ("/scheduler/filter", "", "malformed"),
        ("/scheduler/filter", "null", "malformed"),
        ("/scheduler/prioritize", "<html>", "malformed"),
        ("/scheduler/prioritize", r#"{"Pod":{"metadata":{}},"NodeNames":["a","#, "malformed"),
        ("/scheduler/prioritize", r#"{"Pod":{},"Nodes":null,"NodeNames":null}"#, "no_candidates"),
        ("/scheduler/preempt", "[]", "malformed"),
        ("/explain", "{}", "no_candidates"),
    ] {
        let before = world.metric(&format!(r#"wattle_scheduler_rejections_total{{reason="{reason}"}}"#));

        let reply = world.post(path, body.as_bytes()).await;

        assert_eq!(reply.status, 400, "{path} {body}");
        assert!(reply.json()["Error"].as_str().is_some_and(|text| !text.is_empty()), "{}", reply.text());
        let after = world.metric(&format!(r#"wattle_scheduler_rejections_total{{reason="{reason}"}}"#));
        assert_eq!(after, before + 1.0, "{path} {body}");
    }
    assert_eq!(world.get("/livez").await.status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_cannot_be_read_is_scored_neutrally() {
    let world = World::measured(Config::default(), 0).await;

    for pod in ["null", "3", "[]", r#"{"metadata":{"name":[]}}"#, r#"{"spec":{"containers":"x"}}"#] {
        let body = format!(r#"{{"Pod":{pod},"NodeNames":["node-00000","node-00001"]}}"#);
        let filter = world.post("/scheduler/filter", body.as_bytes()).await;
        let prioritize = world.post("/scheduler/prioritize", body.as_bytes()).await;

        assert_eq!(filter.text(), r#"{"NodeNames":["node-00000","node-00001"]}"#, "{pod}");
        assert_eq!(prioritize.text(), r#"[{"Host":"node-00000","Score":5},{"Host":"node-00001","Score":5}]"#, "{pod}");
    }
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="no_pod"}"#), 1.0);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="bad_pod"}"#), 4.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_given_twice_is_answered_once() {
    let world = World::measured(Config::default(), 0).await;

    let reply =
        world.post("/scheduler/prioritize", args("p", &["node-00000", "nobody", "node-00000"]).as_bytes()).await;

    let hosts: Vec<_> = reply.json().as_array().expect("a list").iter().map(|e| e["Host"].clone()).collect();
    assert_eq!(hosts, ["node-00000", "nobody"]);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="duplicate_node"}"#), 1.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_annotations_and_requests_are_ignored_and_counted() {
    let world = World::measured(Config::default(), 0).await;
    let body = r#"{"Pod":{"metadata":{"name":"p","annotations":{"wattle.dev/weight-energy":"-1e9","wattle.dev/slo-p95-ms":"never"}},
        "spec":{"containers":[{"resources":{"requests":{"cpu":"-5","memory":"99999999999999Ei"}}}]}},"NodeNames":["node-00000"]}"#;

    let reply = world.post("/scheduler/prioritize", body.as_bytes()).await;

    assert_eq!(reply.text(), r#"[{"Host":"node-00000","Score":10}]"#);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="absurd_value"}"#), 4.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_says_little_or_nonsense_is_scored_all_the_same() {
    let world = World::measured(Config::default(), 0).await;
    let annotated = |annotations: &str| format!(r#"{{"metadata":{{"name":"p","annotations":{annotations}}}}}"#);
    let long = format!(r#"{{"wattle.dev/objective":"{}"}}"#, "energy".repeat(20_000));
    for pod in [
        r#"{"metadata":{"name":"p"}}"#.to_owned(),
        r#"{"metadata":{"name":"p"},"spec":{"containers":[]}}"#.to_owned(),
        r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c"}]}}"#.to_owned(),
        r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{"requests":{}}}]}}"#.to_owned(),
        r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"0"}}}]}}"#
            .to_owned(),
        annotated(r#"{"wattle.dev/weight-energy":"NaN","wattle.dev/weight-latency":"inf"}"#),
        annotated(r#"{"wattle.dev/weight-energy":"0","wattle.dev/weight-latency":"0"}"#),
        annotated(r#"{"wattle.dev/slo-p95-ms":"-1","wattle.dev/objective":"\u0000"}"#),
        annotated(&long),
    ] {
        let body = format!(r#"{{"Pod":{pod},"NodeNames":["node-00000","node-00001"]}}"#);

        let reply = world.post("/scheduler/prioritize", body.as_bytes()).await;

        assert_eq!(reply.status, 200, "{}", reply.text());
        let best = reply.scores(&["node-00000", "node-00001"]).into_iter().max();
        assert_eq!(best, Some(10), "predicted, not neutral: {}", reply.text());
    }
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="absurd_value"}"#), 5.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_nearly_a_hundred_megabytes_is_answered() {
    let world = World::measured(Config { deadline: Duration::from_secs(60), ..Config::default() }, 0).await;
    let padding = "x".repeat(100_000_000);
    let body = format!(
        r#"{{"Pod":{{"metadata":{{"name":"p","annotations":{{"example.com/long":"{padding}"}}}}}},"NodeNames":["node-00000"]}}"#
    );

    let reply = world.post("/scheduler/prioritize", body.as_bytes()).await;

    assert_eq!(reply.text(), r#"[{"Host":"node-00000","Score":10}]"#);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    let config = Config { max_body_bytes: 10_000, ..Config::default() };
    let world = World::empty(config, None).await;

    let mut announced = world.connect().await;
    announced.send(b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n").await;
    assert_eq!(announced.reply().await.expect("an answer").status, 413);

    let mut chunked = world.connect().await;
    chunked.send(b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..3 {
        chunked.send(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes()).await;
    }
    assert_eq!(chunked.reply().await.expect("an answer").status, 413);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="too_long"}"#), 2.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_stalls_is_answered_in_time() {
    let config = Config { deadline: Duration::from_millis(20), ..Config::default() };
    let world = World::empty(config, None).await;

    let mut connection = world.connect().await;
    connection.send(b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").await;

    assert_eq!(connection.reply().await.expect("an answer").status, 408);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="too_slow"}"#), 1.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_time_left_is_an_answer_with_equal_scores_at_once() {
    // The time is over before the decision begins; a body that came with its head is read all the same.
    let world = World::measured(Config { deadline: Duration::from_nanos(1), ..Config::default() }, 297).await;
    let names: Vec<String> = (0..300).map(|number| format!("node-{number:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let began = tokio::time::Instant::now();
    let reply = world.post("/scheduler/prioritize", args("p", &names).as_bytes()).await;
    let took = began.elapsed();

    let scores = reply.json();
    assert_eq!((reply.status, scores.as_array().map(Vec::len)), (200, Some(300)), "{}", reply.text());
    assert!((0..300).all(|at| scores[at]["Host"] == names[at] && scores[at]["Score"] == 5), "{}", reply.text());
    assert_eq!(world.metric(r#"wattle_scheduler_deadline_misses_total{verb="prioritize"}"#), 1.0);
    assert_eq!(world.get("/explain?namespace=hotel&pod=p").await.status, 404, "what was not decided is not kept");
    assert!(took < Duration::from_secs(1), "{took:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_is_counted() {
    let world = World::empty(Config::default(), None).await;

    let mut connection = world.connect().await;
    connection.send(b"POST /scheduler/prioritize HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").await;
    drop(connection.split());

    world
        .until("wattle_scheduler_", |_| {
            world.metric("wattle_scheduler_clients_gone_total") + world.metric("wattle_scheduler_rejections_total")
                >= 1.0
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_listener_ends_that_connection_only() {
    let world = World::empty(Config::default(), None).await;

    let mut connection = world.connect().await;
    connection.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await;
    let _ = connection.reply().await;

    assert_eq!(world.get("/livez").await.status, 200);
    assert_eq!(world.get("/nowhere").await.status, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_candidates_are_scored_neutrally_and_not_kept() {
    let world = World::measured(Config::default(), 0).await;
    let long = "x".repeat(300);

    let reply = world.post("/scheduler/prioritize", args("p", &["node-00000", &long]).as_bytes()).await;
    let pod = world.post("/scheduler/prioritize", args(&"p".repeat(300), &["node-00000"]).as_bytes()).await;

    assert_eq!((&reply.json()[0]["Score"], &reply.json()[1]["Score"]), (&5.into(), &5.into()));
    assert_eq!(pod.json()[0]["Score"], 5);
    assert_eq!(world.get("/explain?namespace=hotel&pod=p").await.status, 404);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="absurd_candidates"}"#), 1.0);
    assert_eq!(world.metric(r#"wattle_scheduler_rejections_total{reason="bad_pod"}"#), 1.0);
    world.stop().await;
}
