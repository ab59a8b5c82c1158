//! Arguments of `wattle import`.

use std::path::PathBuf;

use clap::Args;

use super::{duration, header};

/// `wattle import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Database: sqlite://FILE or postgres://…; no collector may have it open.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// The file, as `promtool tsdb dump-openmetrics` writes it.
    #[arg(required_unless_present = "remote_read", conflicts_with = "remote_read")]
    pub file: Option<PathBuf>,
    /// A server that answers remote read, such as http://prometheus:9090/api/v1/read; user:password@ may be in it.
    #[arg(long, value_name = "URL")]
    pub remote_read: Option<String>,
    /// A file with the bearer token for that server.
    #[arg(long, value_name = "FILE", requires = "remote_read")]
    pub token: Option<PathBuf>,
    /// Another header for that server, such as 'X-Scope-OrgID: tenant'; may be given again.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header, requires = "remote_read")]
    pub header: Vec<(String, String)>,
    /// Series to read, as a selector; may be given again [default: all].
    #[arg(long = "match", value_name = "SELECTOR", requires = "remote_read")]
    pub selectors: Vec<String>,
    /// Reads from this long ago on, such as 30d [default: collector.retention of the settings].
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "remote_read")]
    pub since: Option<std::time::Duration>,
    /// Reads up to this long ago [default: now].
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "remote_read")]
    pub until: Option<std::time::Duration>,
}
