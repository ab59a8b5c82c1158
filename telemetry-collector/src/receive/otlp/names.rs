//! Names and labels of OTLP metrics in Prometheus's words.
//!
//! Source: OpenTelemetry's "Prometheus and OpenMetrics Compatibility", with the suffixes that Prometheus adds by default.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};

/// Units and what they are called in a name.
const UNITS: [(&str, &str); 29] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("kJ", "kilojoules"),
    ("W", "watts"),
    ("kW", "kilowatts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
];
/// Units as they are named after "per".
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("min", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month")];

/// Gives the name of a metric and the word of its unit.
pub(super) fn metric(name: &str, unit: &str, is_counter: bool, is_gauge: bool) -> (String, String) {
    let mut words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
        .filter(|w| !w.is_empty())
        .map(Into::into)
        .collect();
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let is_ratio = unit.trim() == "1" && is_gauge;
    let mut suffix = |word: String| {
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    };
    let main = unit_word(main, &UNITS);
    suffix(main.clone());
    let per = unit_word(per, &PER);
    if !per.is_empty() {
        suffix(format!("per_{per}"));
    }
    if is_ratio {
        suffix("ratio".to_owned());
    }
    if is_counter {
        words.retain(|word| word != "total");
        words.push("total".to_owned());
    }
    let mut name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    (name, if is_ratio { "ratio".to_owned() } else { main })
}

fn unit_word(unit: &str, known: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    // What stands in braces is a remark: {request}.
    if unit.is_empty() || unit.contains(['{', '}']) {
        return String::new();
    }
    let word = known.iter().find(|(code, _)| *code == unit).map_or(unit, |(_, word)| word);
    let words: Vec<&str> = word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

/// Gives the name of a label.
pub(super) fn label(key: &str) -> String {
    let mut name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "key_");
    }
    name
}

/// Gives attributes as labels; where two have one name, their values are joined by `;` in the order of the keys.
pub(super) fn labels(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let mut sorted: Vec<&KeyValue> = attributes.iter().filter(|attribute| !attribute.key.is_empty()).collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut out: Vec<(String, String)> = Vec::with_capacity(sorted.len());
    for attribute in sorted {
        let (name, value) = (label(&attribute.key), attribute.value.as_ref().map(text).unwrap_or_default());
        match out.iter_mut().find(|(other, _)| *other == name) {
            Some((_, joined)) => {
                joined.push(';');
                joined.push_str(&value);
            }
            None => out.push((name, value)),
        }
    }
    out
}

/// Gives a value as text: as it is, or as JSON where it has parts.
pub(crate) fn text(value: &AnyValue) -> String {
    crate::store::traces::text_of(value).unwrap_or_else(|| json(value).to_string())
}

fn json(value: &AnyValue) -> serde_json::Value {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.as_str().into(),
        Some(any_value::Value::BoolValue(truth)) => (*truth).into(),
        Some(any_value::Value::IntValue(number)) => (*number).into(),
        Some(any_value::Value::DoubleValue(number)) => (*number).into(),
        Some(any_value::Value::ArrayValue(array)) => array.values.iter().map(json).collect(),
        Some(any_value::Value::KvlistValue(list)) => {
            let entry = |pair: &KeyValue| (pair.key.clone(), pair.value.as_ref().map_or(serde_json::Value::Null, json));
            serde_json::Value::Object(list.values.iter().map(entry).collect())
        }
        Some(any_value::Value::BytesValue(bytes)) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            hex.into()
        }
        _ => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_prometheus_makes() {
        let name = |name: &str, unit: &str, counter, gauge| metric(name, unit, counter, gauge).0;

        assert_eq!(name("http.server.request.duration", "s", false, false), "http_server_request_duration_seconds");
        assert_eq!(name("system.network.io", "By", true, false), "system_network_io_bytes_total");
        assert_eq!(name("requests.total", "{request}", true, false), "requests_total");
        assert_eq!(name("system.cpu.utilization", "1", false, true), "system_cpu_utilization_ratio");
        assert_eq!(name("speed", "m/s", false, true), "speed_meters_per_second");
        assert_eq!(name("db_seconds", "s", false, true), "db_seconds");
        assert_eq!(name("2xx", "", true, false), "_2xx_total");
    }

    #[test]
    fn labels_with_one_name_are_joined() {
        let attribute = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }),
            ..KeyValue::default()
        };

        let made = labels(&[attribute("a.b", "2"), attribute("a-b", "1"), attribute("1x", "3")]);

        assert_eq!(made, [("key_1x".to_owned(), "3".to_owned()), ("a_b".to_owned(), "1;2".to_owned())]);
    }
}
