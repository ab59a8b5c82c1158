//! What the data plane says about the requests it carried.
//!
//! One [`Record`] lives as long as its request and speaks once, when it is dropped: it counts into the standard metrics,
//! hands a span to the exporter and a line to the access log. A request that was cancelled drops its record too.

mod access_log;
mod export;
mod flags;
mod party;
mod record;
mod render;
mod series;
mod sink;
mod span;
mod trace;

pub(crate) use access_log::AccessLog;
pub(crate) use export::Exporter;
pub(crate) use flags::{Flag, Flags};
pub(crate) use party::{Party, ServiceLabels};
pub(crate) use record::{Protocol, Record, Reporter};
pub(crate) use render::render;
pub(crate) use series::Series;
pub(crate) use sink::{Options, Sink};
pub(crate) use span::tags;
pub(crate) use trace::{SpanContext, TraceHeaders, hex};
