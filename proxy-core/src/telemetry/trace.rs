//! Trace context: read from a request in W3C or B3 form, written back for the next hop.

use wattle_contract::route::PercentMillionths;

use crate::dice::Dice;
use crate::head::{Fields, Known};

/// Trace and span.
type Ids = (u128, u64);

/// The span of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    /// The span above; `None` at the root.
    pub(crate) parent: Option<u64>,
    pub(crate) sampled: bool,
}

/// What a request's headers say of its trace, and in which forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceHeaders {
    context: Option<Ids>,
    sampled: Option<bool>,
    b3_single: bool,
    b3_multi: bool,
}

impl TraceHeaders {
    /// Reads the headers: W3C before B3; what is malformed counts as absent.
    pub(crate) fn read(headers: &Fields) -> Self {
        let text = |name| headers.text(name);
        let mut read = Self {
            b3_single: headers.contains(Known::B3),
            b3_multi: headers.contains(Known::B3Trace),
            ..Self::default()
        };
        if let Some((context, sampled)) = text(Known::Traceparent).and_then(w3c) {
            (read.context, read.sampled) = (Some(context), Some(sampled));
        } else if let Some((context, sampled)) = text(Known::B3).and_then(b3) {
            (read.context, read.sampled) = (context, sampled);
        } else {
            let ids = text(Known::B3Trace).and_then(trace_id).zip(text(Known::B3Span).and_then(span_id));
            let debug = text(Known::B3Flags) == Some("1");
            (read.context, read.sampled) = (ids, text(Known::B3Sampled).and_then(decision).or(debug.then_some(true)));
        }
        read
    }

    /// Begins the span of this hop: below what was read, or a new root; sampled as was decided, else by share.
    pub(crate) fn begin(&self, share: PercentMillionths, dice: &Dice) -> SpanContext {
        let nonzero = || dice.roll() | 1;
        let (trace_id, parent) = match self.context {
            Some((trace_id, parent)) => (trace_id, Some(parent)),
            None => (u128::from(nonzero()) << 64 | u128::from(nonzero()), None),
        };
        let sampled = self.sampled.unwrap_or_else(|| dice.hits(share));
        SpanContext { trace_id, span_id: nonzero(), parent, sampled }
    }

    /// Writes the span for the next hop: W3C always, B3 in the forms that came in.
    pub(crate) fn write(&self, span: &SpanContext, headers: &mut Fields) {
        let (trace, id, sampled) = (span.trace_id, span.span_id, u8::from(span.sampled));
        let mut text = [0; 55];
        text[..3].copy_from_slice(b"00-");
        hex(u128_high(trace), &mut text[3..19]);
        hex(trace as u64, &mut text[19..35]);
        hex(id, &mut text[36..52]);
        (text[35], text[52], text[53], text[54]) = (b'-', b'-', b'0', b'0' + sampled);
        headers.set(Known::Traceparent, &text);
        if self.b3_single {
            headers.set(Known::B3, format!("{trace:032x}-{id:016x}-{sampled}").as_bytes());
        }
        if self.b3_multi {
            headers.set(Known::B3Trace, format!("{trace:032x}").as_bytes());
            headers.set(Known::B3Span, format!("{id:016x}").as_bytes());
            headers.set(Known::B3Sampled, sampled.to_string().as_bytes());
            if let Some(parent) = span.parent {
                headers.set(Known::B3Parent, format!("{parent:016x}").as_bytes());
            }
        }
    }
}

const fn u128_high(value: u128) -> u64 {
    (value >> 64) as u64
}

/// Writes a number in lower-case hexadecimal digits, as many as there is room for.
pub(crate) fn hex(value: u64, into: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (place, byte) in into.iter_mut().rev().enumerate() {
        *byte = DIGITS[(value >> (4 * place)) as usize & 15];
    }
}

fn w3c(text: &str) -> Option<(Ids, bool)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || trace.len() != 32 || flags.len() != 2 {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(((trace_id(trace)?, span_id(span)?), flags & 1 == 1))
}

/// `TRACE-SPAN[-DECISION[-PARENT]]`, or a decision alone.
fn b3(text: &str) -> Option<(Option<Ids>, Option<bool>)> {
    if !text.contains('-') {
        return decision(text).map(|sampled| (None, Some(sampled)));
    }
    let mut parts = text.split('-');
    let ids = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    Some((Some(ids), parts.next().and_then(decision)))
}

fn decision(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn trace_id(text: &str) -> Option<u128> {
    let hex = matches!(text.len(), 16 | 32) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|id| hex && *id != 0)
}

fn span_id(text: &str) -> Option<u64> {
    let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|id| hex && *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> Fields {
        pairs.iter().copied().collect()
    }

    #[test]
    fn a_span_goes_below_the_one_that_came_in() {
        let dice = Dice::new(1);
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (name, value) in [
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"),
        ] {
            let mut headers = headers(&[(name, value)]);
            let read = TraceHeaders::read(&headers);

            let span = read.begin(PercentMillionths::NONE, &dice);
            read.write(&span, &mut headers);

            assert_eq!((format!("{:032x}", span.trace_id).as_str(), span.sampled), (trace, true), "{name}");
            assert_eq!(span.parent, Some(0x00f0_67aa_0ba9_02b7));
            assert_eq!(headers.text(Known::Traceparent).unwrap(), format!("00-{trace}-{:016x}-01", span.span_id));
            assert_eq!(headers.contains(Known::B3), name == "b3");
        }
    }

    #[test]
    fn b3_in_many_headers_is_passed_on_in_many_headers() {
        let mut headers = headers(&[
            ("x-b3-traceid", "a3ce929d0e0e4736"),
            ("x-b3-spanid", "00f067aa0ba902b7"),
            ("x-b3-sampled", "0"),
        ]);
        let read = TraceHeaders::read(&headers);

        let span = read.begin(PercentMillionths::ALL, &Dice::new(1));
        read.write(&span, &mut headers);

        assert!(!span.sampled, "the decision that came in stands");
        assert_eq!(headers.text(Known::B3Parent), Some("00f067aa0ba902b7"));
        assert_eq!(headers.text(Known::B3Span).unwrap(), format!("{:016x}", span.span_id));
    }

    #[test]
    fn malformed_context_begins_a_new_trace() {
        for value in [
            "",
            "00-0-0-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            let read = TraceHeaders::read(&headers(&[("traceparent", value)]));
            assert_eq!(read.context, None, "{value}");
        }
    }
}
