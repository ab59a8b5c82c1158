//! Heads with one reading pass; all others do not.

use super::*;

fn read(text: &str) -> Result<Request, Refusal> {
    let end = head_end(text.as_bytes(), 0)?.unwrap_or(text.len());
    let mut into = Request::default();
    request(&text.as_bytes()[..end], 100, &mut into)?;
    Ok(into)
}

fn with(headers: &str) -> Result<Request, Refusal> {
    read(&format!("POST /a?b=c HTTP/1.1\r\nHost: h\r\n{headers}\r\n"))
}

#[test]
fn a_head_is_read_into_its_parts() {
    let request = with("Content-Length: 3\r\nX-A: b\r\n").expect("a head");

    let parts = (request.method(), request.path(), request.query(), request.authority());
    assert_eq!(parts, ("POST", "/a", Some("b=c"), "h"));
    assert_eq!((request.body, request.keep_alive), (BodyLength::Known(3), true));
    assert_eq!(request.fields.iter().last(), Some((&b"X-A"[..], &b"b"[..])));
}

#[test]
fn framing_that_could_be_read_otherwise_is_refused() {
    for (headers, reason) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "length_and_transfer_encoding"),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", "several_content_lengths"),
        ("Content-Length: 1, 1\r\n", "malformed_content_length"),
        ("Content-Length: +1\r\n", "malformed_content_length"),
        ("Content-Length: 18446744073709551616\r\n", "malformed_content_length"),
        ("Transfer-Encoding: gzip, chunked\r\n", "unknown_transfer_encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "several_transfer_encodings"),
        ("X: a\n", "bare_line_feed"),
        ("X: a\rb\r\n", "malformed_head"),
        ("X: a\r\n b\r\n", "malformed_head"),
        ("X : a\r\n", "malformed_head"),
    ] {
        assert_eq!(with(headers).map(|_| ()), Err(Refusal(reason)), "{headers:?}");
    }
}

#[test]
fn who_is_asked_has_to_be_clear() {
    let refusal = |text: &str| read(text).expect("readable").refusal;
    assert_eq!(refusal("GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n"), None);
    assert_eq!(refusal("GET http://b/a HTTP/1.1\r\nHost: h\r\n\r\n"), Some("two_authorities"));
    assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), Some("several_hosts"));
    assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), Some("no_host"));
    for host in ["a b", "u@a", "", "a/b", "a:x"] {
        assert_eq!(refusal(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), Some("malformed_host"), "{host}");
    }
    for host in ["a", "A-1.b_c:80", "127.0.0.1:1", "[::1]:80"] {
        assert_eq!(refusal(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), None, "{host}");
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_its_pieces_are_cut() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
    for cut in 0..text.len() - 4 {
        assert_eq!(head_end(&text[..cut], 0), if cut < 27 { Ok(None) } else { Ok(Some(27)) }, "{cut}");
        assert_eq!(head_end(text, cut.saturating_sub(3).min(24)), Ok(Some(27)));
    }
}

fn answer(text: &str, method: &str) -> Result<Response, Refusal> {
    let mut into = Response::default();
    response(text.as_bytes(), method, &mut into)?;
    Ok(into)
}

#[test]
fn responses_end_where_their_heads_say() {
    let length = |text: &str, method: &str| answer(text, method).map(|response| response.body);
    assert_eq!(length("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET"), Ok(BodyLength::Known(5)));
    assert_eq!(length("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), Ok(BodyLength::None));
    assert_eq!(length("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET"), Ok(BodyLength::None));
    assert_eq!(length("HTTP/1.1 200 OK\r\n\r\n", "GET"), Ok(BodyLength::Close));
    assert_eq!(length("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", "GET"), Ok(BodyLength::None));
    assert_eq!(length("HTTP/1.1 204 N\r\n\r\n", "GET"), Ok(BodyLength::None));
    for broken in [
        "HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 099 No\r\n\r\n",
        "HTTP/1.1 99 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "not HTTP\r\n\r\n",
    ] {
        assert!(answer(broken, "GET").is_err(), "{broken:?}");
    }
}
