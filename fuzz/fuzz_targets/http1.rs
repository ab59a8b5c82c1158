//! Any bytes as an HTTP/1.1 request, beside httparse: what is taken is read alike, and has one length.
//!
//!     cargo +nightly fuzz run http1
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattle_proxy::probe::{Reading, read_request};

fuzz_target!(|data: &[u8]| {
    let Reading::Whole(read) = read_request(data) else { return };
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut other = httparse::Request::new(&mut headers);
    assert!(other.parse(data).is_ok_and(|status| status.is_complete()), "httparse refuses what was taken");
    assert_eq!(other.method, Some(read.method.as_str()));
    let others: Vec<_> = other.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect();
    let ours: Vec<_> = read.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    assert_eq!(others, ours);
    let count = |name: &str| ours.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).count();
    assert!(count("content-length") + count("transfer-encoding") < 2, "two ways to frame a body");
    assert!(read.refusal.is_some() || count("host") == 1 || read.path.is_empty(), "one host");
    // What follows does not change what was read.
    assert_eq!(read_request(&data[..read.end]), Reading::Whole(read));
});
