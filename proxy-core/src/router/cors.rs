//! Cross-origin resource sharing.

use wattle_contract::route;

use super::Text;
use crate::head::{Fields, Known, visible};

const ALLOW_ORIGIN: &[u8] = b"access-control-allow-origin";
const ALLOW_CREDENTIALS: &[u8] = b"access-control-allow-credentials";

/// A policy, compiled.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<Text>,
    methods: Option<String>,
    headers: Option<String>,
    expose: Option<String>,
    max_age: Option<String>,
    credentials: bool,
    forward_unmatched: bool,
}

/// What to do with a preflight.
#[derive(Debug)]
pub(crate) enum Preflight {
    /// Answer 200 with these headers.
    Answer(Fields),
    /// Answer 200 with nothing: the origin is not allowed.
    Refuse,
    /// Send it on.
    Forward,
}

impl Cors {
    pub(crate) fn compile(cors: &route::Cors) -> Result<Self, String> {
        let list = |items: &[String]| {
            let text = items.join(",");
            if visible(text.as_bytes()).is_none() {
                return Err(format!("{text:?} cannot be sent as a header"));
            }
            Ok((!items.is_empty()).then_some(text))
        };
        Ok(Self {
            origins: cors.allow_origins.iter().map(Text::compile).collect::<Result<_, _>>()?,
            methods: list(&cors.allow_methods)?,
            headers: list(&cors.allow_headers)?,
            expose: list(&cors.expose_headers)?,
            max_age: cors.max_age.map(|age| age.as_secs().to_string()),
            credentials: cors.allow_credentials.unwrap_or(false),
            forward_unmatched: cors.forward_unmatched_preflights,
        })
    }

    /// Says what to do when the request is a preflight; `None` when it is none.
    pub(crate) fn preflight(&self, method: &str, request: &Fields) -> Option<Preflight> {
        let asked = request.get(Known::PreflightMethod).is_some_and(|method| !method.is_empty());
        let origin = request.get(Known::Origin).filter(|_| method == "OPTIONS" && asked)?;
        if !self.allows(origin) {
            return Some(if self.forward_unmatched { Preflight::Forward } else { Preflight::Refuse });
        }
        let mut answer = Fields::default();
        answer.push(ALLOW_ORIGIN, origin);
        if self.credentials {
            answer.push(ALLOW_CREDENTIALS, b"true");
        }
        for (name, value) in [
            ("access-control-allow-methods", &self.methods),
            ("access-control-allow-headers", &self.headers),
            ("access-control-max-age", &self.max_age),
        ] {
            if let Some(value) = value {
                answer.push(name.as_bytes(), value.as_bytes());
            }
        }
        Some(Preflight::Answer(answer))
    }

    /// Adds to the response of a plain cross-origin request what its origin may see.
    pub(crate) fn decorate(&self, origin: &[u8], response: &mut Fields) {
        if !self.allows(origin) {
            return;
        }
        let mut set = |name: &[u8], value: &[u8]| {
            response.remove_text(Known::Other, name);
            response.push(name, value);
        };
        set(ALLOW_ORIGIN, origin);
        if self.credentials {
            set(ALLOW_CREDENTIALS, b"true");
        }
        if let Some(expose) = &self.expose {
            set(b"access-control-expose-headers", expose.as_bytes());
        }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        let Some(origin) = visible(origin) else { return false };
        let any = |text: &Text| matches!(text, Text::Exact(star) if star == "*");
        self.origins.iter().any(|allowed| any(allowed) || allowed.holds(origin))
    }
}
