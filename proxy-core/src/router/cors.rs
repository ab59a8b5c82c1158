//! Cross-origin resource sharing.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use wattle_contract::route;

use super::Text;

/// A policy, compiled.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<Text>,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    credentials: bool,
    forward_unmatched: bool,
}

/// What to do with a preflight.
#[derive(Debug)]
pub(crate) enum Preflight {
    /// Answer 200 with these headers.
    Answer(Vec<(HeaderName, HeaderValue)>),
    /// Answer 200 with nothing: the origin is not allowed.
    Refuse,
    /// Send it on.
    Forward,
}

impl Cors {
    pub(crate) fn compile(cors: &route::Cors) -> Result<Self, String> {
        let list = |items: &[String]| {
            let text = items.join(",");
            let value = HeaderValue::from_str(&text).map_err(|_| format!("{text:?} cannot be sent as a header"));
            (!items.is_empty()).then_some(value).transpose()
        };
        Ok(Self {
            origins: cors.allow_origins.iter().map(Text::compile).collect::<Result<_, _>>()?,
            methods: list(&cors.allow_methods)?,
            headers: list(&cors.allow_headers)?,
            expose: list(&cors.expose_headers)?,
            max_age: cors.max_age.map(|age| HeaderValue::from(age.as_secs())),
            credentials: cors.allow_credentials.unwrap_or(false),
            forward_unmatched: cors.forward_unmatched_preflights,
        })
    }

    /// Says what to do when the request is a preflight; `None` when it is none.
    pub(crate) fn preflight(&self, method: &str, request: &HeaderMap) -> Option<Preflight> {
        let asked = request.get(header::ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|method| !method.is_empty());
        let origin = request.get(header::ORIGIN).filter(|_| method == "OPTIONS" && asked)?;
        if !self.allows(origin) {
            return Some(if self.forward_unmatched { Preflight::Forward } else { Preflight::Refuse });
        }
        let mut answer = vec![(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())];
        if self.credentials {
            answer.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
            (header::ACCESS_CONTROL_MAX_AGE, &self.max_age),
        ] {
            if let Some(value) = value {
                answer.push((name, value.clone()));
            }
        }
        Some(Preflight::Answer(answer))
    }

    /// Adds to the response of a plain cross-origin request what its origin may see.
    pub(crate) fn decorate(&self, origin: &HeaderValue, response: &mut HeaderMap) {
        if !self.allows(origin) {
            return;
        }
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(expose) = &self.expose {
            response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let any = |text: &Text| matches!(text, Text::Exact(star) if star == "*");
        self.origins.iter().any(|allowed| any(allowed) || allowed.holds(origin))
    }
}
