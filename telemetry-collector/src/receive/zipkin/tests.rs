use super::*;

#[test]
fn a_span_of_version_2_keeps_what_it_says() {
    let body = br#"[{"traceId":"00000000000000ab","id":"1","parentId":"2","kind":"CLIENT","name":"get /",
        "timestamp":1700000000000001,"duration":1500,"localEndpoint":{"serviceName":"front","ipv4":"10.0.0.1"},
        "remoteEndpoint":{"serviceName":"back","ipv4":"10.0.0.2","port":8080},"shared":true,"debug":false,
        "annotations":[{"timestamp":1700000000000100,"value":"wire.send"}],"tags":{"http.status_code":"503","error":"503"}}]"#;

    let spans = v2::parse(body).expect("spans");

    let (service, span) = &spans[0];
    assert_eq!((service.as_str(), span.kind), ("front", 3));
    assert_eq!((span.trace_id.len(), span.trace_id[15], span.span_id[7], span.parent_span_id[7]), (16, 0xab, 1, 2));
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 1_500_000);
    assert_eq!(span.status.as_ref().map(|status| (status.code, status.message.as_str())), Some((2, "503")));
    assert_eq!(crate::store::traces::text(&span.attributes, "peer.service"), Some("back"));
    assert_eq!(span.events[0].name, "wire.send");
}

#[test]
fn a_span_of_version_1_that_holds_both_ends_is_two() {
    let body = br#"[{"traceId":"ab","id":"1","name":"get","annotations":[
        {"timestamp":100,"value":"cs","endpoint":{"serviceName":"front"}},
        {"timestamp":110,"value":"sr","endpoint":{"serviceName":"back"}},
        {"timestamp":150,"value":"ss","endpoint":{"serviceName":"back"}},
        {"timestamp":160,"value":"cr","endpoint":{"serviceName":"front"}}],
        "binaryAnnotations":[{"key":"sa","value":true,"endpoint":{"serviceName":"back","port":80}},
        {"key":"http.path","value":"/x"}]}]"#;

    let spans = v1::parse(body).expect("spans");

    let told: Vec<_> =
        spans.iter().map(|(service, span)| (service.as_str(), span.kind, span.start_time_unix_nano)).collect();
    assert_eq!(told, [("front", 3, 100_000), ("back", 2, 110_000)]);
    assert_eq!(spans[0].1.span_id, spans[1].1.span_id);
}

#[test]
fn what_is_no_span_is_named() {
    for (body, message) in [
        (&b"{}"[..], "no list"),
        (br#"[{"traceId":"xyz","id":"1"}]"#, "hexadecimal"),
        (br#"[{"traceId":"1","id":""}]"#, "hexadecimal"),
        (br#"[{"traceId":"1","id":"1","kind":"x"}]"#, "none of CLIENT"),
        (b"\xff\x00", "no list"),
    ] {
        let error = v2::parse(body).expect_err("refused");
        assert!(error.contains(message), "{error}");
    }
}
