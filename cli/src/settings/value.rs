//! How one setting is read from the text or the YAML value that a layer gives.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// A type that a setting can have.
pub(crate) trait Setting: Sized {
    /// What the documentation calls such values.
    const KIND: &'static str;

    /// Reads a value; numbers and booleans may come as text, as from the environment.
    ///
    /// # Errors
    /// What is wrong with the value, to be put behind its key.
    fn read(value: &Value) -> Result<Self, String>;
}

/// Gives a scalar as text.
fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) => Err("a list where one value was expected".to_owned()),
        Value::Object(_) => Err("a mapping where one value was expected".to_owned()),
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(value: &Value) -> Result<Self, String> {
        scalar(value)
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn read(value: &Value) -> Result<Self, String> {
        scalar(value).map(Self::from)
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn read(value: &Value) -> Result<Self, String> {
        let text = scalar(value)?;
        text.parse().map_err(|_| format!("'{text}' is neither true nor false"))
    }
}

impl Setting for f64 {
    const KIND: &'static str = "number";

    fn read(value: &Value) -> Result<Self, String> {
        let text = scalar(value)?;
        match text.parse::<Self>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(format!("'{text}' is not a finite number")),
        }
    }
}

impl Setting for u64 {
    const KIND: &'static str = "whole number";

    fn read(value: &Value) -> Result<Self, String> {
        let text = scalar(value)?;
        text.parse().map_err(|_| format!("'{text}' is not a whole number of 0 or more"))
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "address:port";

    fn read(value: &Value) -> Result<Self, String> {
        let text = scalar(value)?;
        let full = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.clone() };
        full.to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| format!("'{text}' is not an address with a port, such as 127.0.0.1:9090"))
    }
}

impl Setting for Duration {
    const KIND: &'static str = "duration";

    /// `250ms`, `1.5s`, `15m`, `2h`, `7d`.
    fn read(value: &Value) -> Result<Self, String> {
        let text = scalar(value)?;
        parse_duration(&text).ok_or_else(|| format!("'{text}' is not a duration such as 500ms, 15s, 10m, 2h or 7d"))
    }
}

/// Reads `250ms`, `1.5s`, `15m`, `2h`, `7d`; `None` for anything else.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;

    /// Nothing, or empty text, is `None`.
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) if text.trim().is_empty() => Ok(None),
            value => T::read(value).map(Some),
        }
    }
}

impl Setting for Vec<PathBuf> {
    const KIND: &'static str = "list of paths";

    /// A list, or text with commas between.
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => items.iter().map(PathBuf::read).collect(),
            value => {
                let text = scalar(value)?;
                Ok(text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "5", "s", "-1s", "1y", "1e400s", "NaNs"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_without_a_host_is_loopback() {
        let address = SocketAddr::read(&Value::from(":9090")).expect("an address");

        assert_eq!(address.to_string(), "127.0.0.1:9090");
        assert!(SocketAddr::read(&Value::from("9090")).is_err());
    }
}
