//! The codec beside another parser: what it takes, the other reads alike.

use proptest::prelude::*;
use wattle_proxy::probe::{Reading, read_request};

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads with httparse alone: method, target and headers.
fn other(bytes: &[u8]) -> Option<(String, String, Headers)> {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(bytes).ok()?.is_complete().then_some(())?;
    let headers = request.headers.iter().map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec()));
    Some((request.method?.to_owned(), request.path?.to_owned(), headers.collect()))
}

/// Lines that a request might be made of, good and bad.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Host: a\r\n".to_owned()),
        Just("Content-Length: 3\r\n".to_owned()),
        Just("Transfer-Encoding: chunked\r\n".to_owned()),
        "[A-Za-z-]{1,8}: ?[ -~]{0,8}\r\n",
        "[ -~\\t\\r\\n]{0,6}\r?\n",
    ]
}

proptest! {
    #[test]
    fn what_is_taken_is_read_alike_and_has_one_length(
        first in prop_oneof![Just("POST /a/b?c HTTP/1.1\r\n".to_owned()), "[A-Z]{1,4} /[a-z/%?.]{0,6} HTTP/1.[01]\r\n"],
        lines in prop::collection::vec(line(), 0..5),
        body in prop_oneof![Just("abc".to_owned()), Just("3\r\nabc\r\n0\r\n\r\n".to_owned()), "[0-9a-f;\\r\\n]{0,12}"],
    ) {
        let bytes = format!("{first}{}\r\n{body}", lines.concat()).into_bytes();

        if let Reading::Whole(read) = read_request(&bytes) {
            let (method, target, headers) = other(&bytes).expect("the other takes it too");
            prop_assert_eq!(&method, &read.method);
            prop_assert!(target.starts_with(&read.path));
            prop_assert_eq!(&headers, &read.headers);
            prop_assert!(read.end <= bytes.len());
            // What is there of the next request does not change this one.
            let mut more = bytes[..read.end].to_vec();
            prop_assert_eq!(read_request(&more), Reading::Whole(read.clone()));
            more.extend_from_slice(b"GET / HTTP/1.1\r\n");
            prop_assert_eq!(read_request(&more), Reading::Whole(read));
        }
    }

    #[test]
    fn a_request_cut_short_is_never_whole(cut in 0_usize..70) {
        let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

        prop_assert!(!matches!(read_request(&bytes[..cut.min(bytes.len() - 1)]), Reading::Whole(_)));
    }
}
