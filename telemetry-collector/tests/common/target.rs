//! A target to scrape.

use axum::Router;
use axum::http::header;

pub const TEXT: &str = "text/plain; version=0.0.4";
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves one exposition; gives its address.
pub async fn serve(body: String, content_type: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, content_type)], body) }
    };
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    address
}
