//! The settings of the proxy, checked once when it starts.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use http::Uri;

use crate::Error;

/// Where the access log goes.
#[derive(Default)]
pub enum AccessLogTarget {
    /// Nowhere.
    #[default]
    Off,
    /// One JSON object a line to this writer, from a task of its own.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for AccessLogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Writer(_) => "Writer",
        })
    }
}

/// Settings of the whole proxy. All are bounds or defaults; what traffic does is said by route tables.
#[derive(Debug)]
pub struct Config {
    /// How long requests in flight may take when a workload is removed or the proxy ends; what is left is cut and said.
    pub drain: Duration,
    /// Share of requests without a sampling decision that are traced, where no Telemetry resource says. Range: 0..=1.
    pub trace_sampling: f64,
    /// OTLP gRPC collector of spans; `None` sends none (trace context is still passed on).
    pub otlp: Option<Uri>,
    /// Spans waiting to be sent; further ones are dropped and counted.
    pub span_queue: usize,
    /// Where the access log goes.
    pub access_log: AccessLogTarget,
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// How long a client's connection may wait for its next request.
    pub idle_timeout: Duration,
    /// Threads that carry traffic, each with its own sockets and connections; 0 means the runtime that starts the proxy.
    pub threads: usize,
    /// Bytes the head of a request may have. Range: 8192 and above.
    pub max_head_bytes: usize,
    /// Headers a request may have.
    pub max_headers: usize,
    /// Bytes of a request body kept to send it again; a longer body is sent once, without further tries.
    pub retry_buffer_bytes: usize,
    /// Series of the standard metrics; requests beyond them are counted in `wattle_proxy_series_overflow_total`.
    pub max_series: usize,
    /// Seed of the random choices; `None` takes one from the system.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(5),
            trace_sampling: 0.01,
            otlp: None,
            span_queue: 8192,
            access_log: AccessLogTarget::Off,
            header_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3600),
            threads: 0,
            max_head_bytes: 64 * 1024,
            max_headers: 100,
            retry_buffer_bytes: 64 * 1024,
            max_series: 20_000,
            seed: None,
        }
    }
}

impl Config {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.trace_sampling) {
            let value = self.trace_sampling.to_string();
            return Err(Error::Setting { setting: "trace_sampling", value, must: "between 0 and 1" });
        }
        if self.max_head_bytes < 8192 {
            let value = self.max_head_bytes.to_string();
            return Err(Error::Setting { setting: "max_head_bytes", value, must: "8192 or more" });
        }
        if self.max_headers == 0 {
            return Err(Error::Setting { setting: "max_headers", value: "0".into(), must: "1 or more" });
        }
        Ok(())
    }
}
