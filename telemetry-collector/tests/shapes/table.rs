//! The requests, each as its client sends it.

#![allow(unreachable_pub, reason = "a part of the test beside it")]

use http::Method;

/// How alike two answers have to be.
#[derive(Clone, Copy, Debug)]
pub enum Alike {
    /// Every byte of the JSON.
    Same,
    /// Keys and types of all that Prometheus gives; there may be more.
    Shape,
    /// Status, kind of error, and some text.
    Error,
    /// The status alone.
    Status,
}

/// A request.
pub struct Asked {
    pub method: Method,
    pub path: String,
    /// Query string of a GET, body of a POST.
    pub form: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub alike: Alike,
}

impl Asked {
    pub fn new(method: Method, path: &str, form: &str) -> Self {
        let (path, form) = (path.to_owned(), form.to_owned());
        Self { method, path, form, headers: Vec::new(), alike: Alike::Same }
    }
}

/// Writes a value as Go's `url.Values.Encode` does.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
}

/// The requests, and the times that they ask for.
struct Table {
    all: Vec<Asked>,
    from: String,
    to: String,
    at: String,
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::POST, Method::GET];
const RATE: &str = "sum by (pod) (rate(http_requests_total{job=~\"web|x\"}[5m]))";

/// Gives every request; the data end at `end`, in seconds.
pub fn all(end: i64) -> Vec<Asked> {
    let (from, to, at) = ((end - 600).to_string(), format!("{end}.000"), format!("{end}.25"));
    let mut table = Table { all: Vec::new(), from, to, at };
    table.grafana();
    table.limited();
    table.kiali();
    table.pages();
    table.wrong();
    table.wrong_series();
    table.all
}

impl Table {
    fn add(&mut self, alike: Alike, methods: &[Method], path: &str, pairs: &[(&str, &str)]) {
        for method in methods {
            self.all.push(Asked { alike, ..Asked::new(method.clone(), path, &form(pairs)) });
        }
    }

    fn times(&self) -> [String; 3] {
        [self.from.clone(), self.to.clone(), self.at.clone()]
    }

    /// Grafana's Prometheus datasource: health check, panels, variables, completion.
    fn grafana(&mut self) {
        let [from, to, at] = self.times();
        self.add(Alike::Same, BOTH, "/api/v1/query", &[("query", "1+1"), ("time", "4")]);
        self.add(Alike::Same, BOTH, "/api/v1/query", &[("query", RATE), ("time", &at), ("timeout", "30s")]);
        self.add(
            Alike::Same,
            BOTH,
            "/api/v1/query_range",
            &[("query", RATE), ("start", &from), ("end", &to), ("step", "15")],
        );
        self.add(
            Alike::Same,
            BOTH,
            "/api/v1/query_range",
            &[("query", RATE), ("start", &from), ("end", &to), ("step", "1m")],
        );
        self.add(Alike::Same, POST, "/api/v1/query", &[("query", "temperature"), ("time", &at)]);
        self.add(Alike::Same, POST, "/api/v1/query", &[("query", "\"text\""), ("time", &at)]);
        self.add(Alike::Same, POST, "/api/v1/query", &[("query", "http_requests_total[45s]"), ("time", &at)]);
        self.add(Alike::Same, POST, "/api/v1/query", &[("query", "nothing"), ("time", "2026-11-27T17:00:00.5Z")]);
        self.add(Alike::Same, POST, "/api/v1/query", &[("query", "rate(temperature[1m])"), ("time", &at)]);
        self.add(Alike::Same, BOTH, "/api/v1/query_exemplars", &[("query", RATE), ("start", &from), ("end", &to)]);
        let window = [("start", from.as_str()), ("end", to.as_str()), ("limit", "40000")];
        self.add(Alike::Same, BOTH, "/api/v1/labels", &window);
        self.add(Alike::Same, BOTH, "/api/v1/labels", &[("match[]", "temperature"), ("start", &from), ("end", &to)]);
        self.add(Alike::Same, GET, "/api/v1/label/pod/values", &window);
        self.add(
            Alike::Same,
            GET,
            "/api/v1/label/pod/values",
            &[("match[]", "{__name__=\"temperature\"}"), ("match[]", "nothing")],
        );
        self.add(Alike::Same, GET, "/api/v1/label/U__a_2e_b/values", &window);
        self.add(Alike::Same, GET, "/api/v1/label/a.b/values", &window);
        self.add(Alike::Same, GET, "/api/v1/label/nothing/values", &[]);
        self.add(
            Alike::Same,
            BOTH,
            "/api/v1/series",
            &[("match[]", "{pod=\"a\"}"), ("match[]", "http_requests_total"), ("start", &from)],
        );
        self.add(Alike::Same, BOTH, "/api/v1/series", &[("match[]", "{\"a.b\"=~\".+\"}")]);
        self.add(Alike::Same, GET, "/api/v1/metadata", &[("limit", "1000"), ("metric", "up")]);
        self.add(Alike::Same, GET, "/api/v1/rules", &[]);
        self.add(Alike::Same, GET, "/api/v1/rules", &[("type", "alert")]);
        self.add(Alike::Same, GET, "/api/v1/alerts", &[]);
        self.add(Alike::Shape, GET, "/api/v1/status/buildinfo", &[]);
    }

    /// `limit`, where Prometheus has it.
    fn limited(&mut self) {
        let [from, to, at] = self.times();
        self.add(Alike::Same, GET, "/api/v1/labels", &[("limit", "1")]);
        // Which of the values is not said.
        self.add(Alike::Shape, GET, "/api/v1/label/pod/values", &[("limit", "1")]);
        self.add(Alike::Same, GET, "/api/v1/series", &[("match[]", "{job=\"web\"}"), ("limit", "1")]);
        self.add(
            Alike::Same,
            POST,
            "/api/v1/query",
            &[("query", "sort(http_requests_total)"), ("time", &at), ("limit", "1")],
        );
        self.add(
            Alike::Same,
            POST,
            "/api/v1/query_range",
            &[("query", RATE), ("start", &from), ("end", &to), ("step", "15"), ("limit", "1")],
        );
        self.add(
            Alike::Same,
            POST,
            "/api/v1/query",
            &[("query", "http_requests_total"), ("time", &at), ("limit", "9")],
        );
    }

    /// Kiali: names, the scrape interval, the retention.
    fn kiali(&mut self) {
        let [from, to, at] = self.times();
        self.add(Alike::Same, GET, "/api/v1/label/__name__/values", &[("start", &from), ("end", &to)]);
        self.add(
            Alike::Same,
            POST,
            "/api/v1/query",
            &[("query", "count by (__name__) ({pod=\"a\"}) OR vector(0) > 0"), ("time", &at)],
        );
        self.add(
            Alike::Same,
            POST,
            "/api/v1/query",
            &[
                ("query", "round(sum(rate (http_requests_total{pod!~\"^.+\\\\.ns\\\\..+$\"} [60s])), 0.001)"),
                ("time", &at),
            ],
        );
        self.add(Alike::Shape, GET, "/api/v1/status/config", &[]);
        self.add(Alike::Shape, GET, "/api/v1/status/runtimeinfo", &[]);
        self.add(Alike::Shape, GET, "/api/v1/status/tsdb", &[]);
    }

    /// Prometheus's own page, promtool, codemirror-promql.
    fn pages(&mut self) {
        self.add(Alike::Same, BOTH, "/api/v1/format_query", &[("query", "sum(rate(a{b='c'}[5m]))by(x)/2")]);
        for query in [
            RATE,
            "1 + -x * on(a, b) group_left(c) y{z!~\"q\"} offset -5m @ 12.5",
            "topk without (a) (3, max_over_time((x > bool 2)[1h:30s] offset 1m @ end()))",
            "label_replace(a and b unless ignoring(x) c, \"d\", \"$1\", 'e', `f`) == 1e-7",
            "quantile_over_time(0.9, x[2m] @ start()) or vector(1)",
        ] {
            self.add(Alike::Same, BOTH, "/api/v1/parse_query", &[("query", query)]);
        }
        self.add(Alike::Same, GET, "/api/v1/targets", &[("state", "any")]);
        self.add(Alike::Same, GET, "/api/v1/targets/metadata", &[("match_target", "{job=\"web\"}"), ("limit", "5")]);
        self.add(Alike::Same, GET, "/api/v1/alertmanagers", &[]);
        for path in ["/-/healthy", "/-/ready"] {
            self.add(Alike::Status, GET, path, &[]);
        }
    }

    /// What is wrong, and how wrong it is.
    fn wrong(&mut self) {
        let [_, _, at] = self.times();
        let range = |query: &'static str, start: &'static str, end: &'static str, step: &'static str| {
            [("query", query), ("start", start), ("end", end), ("step", step)]
        };
        for query in ["", "sum(", "a{", "nonsense(1)", "a[5m", "1 + \"a\"", "rate(a)", "a{b=~\"(\"}", "{}"] {
            self.add(Alike::Error, BOTH, "/api/v1/query", &[("query", query), ("time", "0")]);
        }
        self.add(Alike::Error, GET, "/api/v1/query", &[]);
        self.add(Alike::Error, GET, "/api/v1/query", &[("query", "1"), ("time", "noon")]);
        self.add(Alike::Error, GET, "/api/v1/query", &[("query", "1"), ("timeout", "soon")]);
        self.add(Alike::Error, GET, "/api/v1/query", &[("query", "1"), ("limit", "-1")]);
        self.add(
            Alike::Error,
            GET,
            "/api/v1/query",
            &[("query", "http_requests_total + on(job) http_requests_total"), ("time", &at)],
        );
        for bad in [
            range("1", "5", "1", "1"),
            range("1", "0", "9", "0"),
            range("1", "0", "9", "-1"),
            range("1", "x", "9", "1"),
            range("1", "0", "", "1"),
            range("1", "0", "9", ""),
            range("1", "0", "1000000", "1"),
            range("a[5m]", "0", "9", "1"),
            range("\"a\"", "0", "9", "1"),
            range("", "0", "9", "1"),
        ] {
            self.add(Alike::Error, BOTH, "/api/v1/query_range", &bad);
        }
    }

    /// The same for what is not a query.
    fn wrong_series(&mut self) {
        for path in ["/api/v1/labels", "/api/v1/label/pod/values", "/api/v1/series"] {
            for bad in [
                ("match[]", "{"),
                ("match[]", "{}"),
                ("match[]", "rate(a[5m])"),
                ("match[]", "{a=~\".*\"}"),
                ("start", "x"),
                ("limit", "x"),
            ] {
                self.add(Alike::Error, GET, path, &[bad]);
            }
        }
        self.add(Alike::Error, BOTH, "/api/v1/series", &[]);
        for path in ["/api/v1/format_query", "/api/v1/parse_query", "/api/v1/query_exemplars"] {
            self.add(Alike::Error, BOTH, path, &[("query", "sum(")]);
            self.add(Alike::Error, GET, path, &[]);
        }
        self.add(Alike::Error, GET, "/api/v1/rules", &[("type", "x")]);
        self.add(Alike::Error, GET, "/api/v1/metadata", &[("limit", "x")]);
        self.add(Alike::Error, GET, "/api/v1/targets/metadata", &[("match_target", "{")]);
        self.add(Alike::Status, GET, "/api/v1/nothing", &[]);
        self.add(Alike::Status, &[Method::PUT, Method::DELETE], "/api/v1/query", &[("query", "1")]);
        self.add(Alike::Status, POST, "/api/v1/label/pod/values", &[]);
        self.add(Alike::Status, GET, "/federate", &[("match[]", "{")]);
        for accept in ["text/plain;version=0.0.4", "text/plain;version=1.0.0;escaping=allow-utf-8"] {
            let every = form(&[("match[]", "{__name__=~\".+\"}")]);
            let headers = vec![("accept", accept)];
            self.all.push(Asked { headers, ..Asked::new(Method::GET, "/federate", &every) });
        }
        self.add(
            Alike::Same,
            GET,
            "/federate",
            &[("match[]", "temperature"), ("match[]", "http_requests_total{pod=\"b\"}")],
        );
    }
}
