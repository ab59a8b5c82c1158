use proptest::prelude::*;

use super::*;

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

fn run(pieces: &[&[u8]]) -> (Result<(), Refusal>, Vec<u8>) {
    let (mut framing, mut out) = (Framing::new(65536), BytesMut::new());
    let result = pieces.iter().try_for_each(|piece| framing.feed(piece, &mut out));
    (result, out.to_vec())
}

fn refusal(text: &str) -> Option<&'static str> {
    run(&[text.as_bytes()]).0.err().map(|Refusal(word)| word)
}

#[test]
fn messages_with_one_reading_pass_unchanged() {
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        format!("{HEAD}Content-Length: 5\r\n\r\n{{\n}}\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{HEAD}Transfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\0".to_owned(),
    ] {
        let (result, out) = run(&[text.as_bytes()]);
        assert_eq!((result, String::from_utf8_lossy(&out).as_ref()), (Ok(()), text.as_str()));
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    let post = |headers: &str, body: &str| format!("{HEAD}{headers}\r\n\r\n{body}");
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    for (text, word) in [
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked", ""), "length_and_transfer_encoding"),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 5", ""), "length_and_transfer_encoding"),
        (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", ""), "several_transfer_encodings"),
        (post("Transfer-Encoding: gzip, chunked", ""), "unknown_transfer_encoding"),
        (post("Content-Length: 1\r\nContent-Length: 1", ""), "several_content_lengths"),
        (post("Content-Length: 1, 1", ""), "malformed_content_length"),
        (post("Content-Length: +1", ""), "malformed_content_length"),
        (post("Content-Length: 18446744073709551616", ""), "malformed_content_length"),
        (post("Content-Length:", ""), "malformed_content_length"),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), "transfer_encoding_in_wrong_version"),
        ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n".to_owned(), "malformed_head"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n".to_owned(), "malformed_head"),
        (chunked("zz\r\n"), "malformed_chunk_size"),
        (chunked("0x1\r\n"), "malformed_chunk_size"),
        (chunked("+1\r\n"), "malformed_chunk_size"),
        (chunked(" 1\r\n"), "malformed_chunk_size"),
        (chunked("10000000000000000\r\n"), "malformed_chunk_size"),
        (chunked("1\na\r\n"), "malformed_chunk_size"),
        (chunked("1;a\nb\r\n"), "malformed_chunk_extension"),
        (chunked("1\r\nab\r\n"), "malformed_chunk_end"),
        (chunked("0\r\nx: y\n\r\n"), "malformed_trailers"),
    ] {
        assert_eq!(refusal(&text), Some(word), "{text:?}");
    }
}

#[test]
fn after_a_switch_nothing_is_looked_at_and_after_a_refused_one_everything() {
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (answer, follows) in [(&b"HTTP/1.1 101 Switching"[..], true), (b"HTTP/1.1 403 Forbidden", false)] {
        let (mut framing, mut out) = (Framing::new(65536), BytesMut::new());
        framing.feed(ask, &mut out).expect("a good head");
        framing.answered(answer);
        assert_eq!(framing.feed(b"\x81\n\n", &mut out).is_ok(), follows);
    }
}

/// What messages are made of, and a little of what they are not.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"x",
    b"\n",
];

proptest! {
    #[test]
    fn how_bytes_are_cut_into_reads_changes_nothing(
        bytes in prop::collection::vec(prop::sample::select(PIECES), 0..12),
        cuts in prop::collection::vec(1_usize..9, 1..12),
    ) {
        let whole = bytes.concat();
        let (mut pieces, mut rest) = (Vec::new(), whole.as_slice());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }

        let (at_once, in_pieces) = (run(&[whole.as_slice()]), run(&pieces));

        prop_assert_eq!(at_once.0, in_pieces.0);
        prop_assert_eq!(at_once.1, in_pieces.1);
    }
}
