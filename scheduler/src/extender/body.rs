//! Reading a request's body, no longer than allowed and no longer than there is time.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::Instant;

/// A body that was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Longer than the limit: the rest is not read.
    TooLong,
    /// The sender was too slow.
    TooSlow,
    /// The connection broke.
    CutOff,
}

impl Unread {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::TooSlow => "too_slow",
            Self::CutOff => "cut_off",
        }
    }
}

/// Memory set aside before the first byte, whatever the sender announces.
const FIRST_RESERVE: usize = 1 << 20;

pub(super) async fn read(mut body: Body, limit: usize, until: Instant) -> Result<Bytes, Unread> {
    let announced = http_body::Body::size_hint(&body).lower();
    if announced > limit as u64 {
        return Err(Unread::TooLong);
    }
    let mut whole: Option<BytesMut> = None;
    let mut first = Bytes::new();
    loop {
        let frame = tokio::time::timeout_at(until, body.frame()).await.map_err(|_| Unread::TooSlow)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Unread::CutOff)?.into_data() else { continue };
        let read = whole.as_ref().map_or(first.len(), BytesMut::len);
        if read.saturating_add(data.len()) > limit {
            return Err(Unread::TooLong);
        }
        if read == 0 {
            first = data;
            continue;
        }
        let whole = whole.get_or_insert_with(|| {
            let announced = usize::try_from(announced).unwrap_or(0).min(FIRST_RESERVE);
            let mut whole = BytesMut::with_capacity(announced.max(first.len() + data.len()));
            whole.extend_from_slice(&first);
            whole
        });
        whole.extend_from_slice(&data);
    }
    Ok(whole.map_or(first, BytesMut::freeze))
}
