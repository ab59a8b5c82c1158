use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;

use super::*;

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let name = attribute("service.name", any_value::Value::StringValue(service.to_owned()));
    ResourceSpans {
        resource: Some(Resource { attributes: vec![name], ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope { name: "lib".to_owned(), ..InstrumentationScope::default() }),
            spans,
            ..ScopeSpans::default()
        }],
        schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
    }
}

prop_compose! {
    fn a_span()(
        (trace, id, parent) in (1_u8..4, 1_u8..9, 0_u8..12), (start, end) in any::<(u64, u64)>(),
        name in "[a-z/]{0,6}", (kind, code) in (0_i32..6, 0_i32..3), message in "[a-z]{0,3}", number in 0_i64..3,
        (events, flags) in (0_usize..2, 0_u32..3),
    ) -> Span {
        Span {
            trace_id: vec![trace; 16],
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            name,
            kind,
            flags,
            attributes: vec![
                attribute("n", any_value::Value::IntValue(number)),
                attribute("empty", any_value::Value::BytesValue(vec![])),
            ],
            status: (code != 0 || !message.is_empty()).then_some(Status { code, message }),
            events: vec![Event { name: "e".to_owned(), time_unix_nano: start, ..Event::default() }; events],
            links: vec![Link { trace_id: vec![9; 16], ..Link::default() }; events],
            ..Span::default()
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(spans in proptest::collection::vec(a_span(), 0..40)) {
        let mut block = Block::default();
        let half = spans.len() / 2;
        block.push(&resource("a", spans[..half].to_vec()));
        block.push(&resource("b", spans[half..].to_vec()));

        let read = decode(&encode(&block).expect("packed")).expect("a block");

        prop_assert_eq!(read.records.len(), spans.len());
        for trace in 1_u8..4 {
            let mut was = block.trace(&[trace; 16]);
            let mut is = read.trace(&[trace; 16]);
            for part in was.iter_mut().chain(&mut is).flat_map(|part| &mut part.scope_spans) {
                part.spans.sort_by_key(|span| format!("{span:?}"));
            }
            prop_assert_eq!(was, is);
        }
        prop_assert_eq!(&read.services, &block.services);
    }

    #[test]
    fn nonsense_is_no_block_and_no_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), flip in any::<u8>(),
    ) {
        decode(&bytes);
        let mut block = Block::default();
        block.push(&resource("a", vec![Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Span::default() }]));
        let mut bytes = encode(&block).expect("packed");
        let at = at % bytes.len();
        bytes[at] ^= flip;
        decode(&bytes);
    }
}
