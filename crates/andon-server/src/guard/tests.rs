use axum::http::HeaderMap;

use super::{Exposure, check, guard};

#[test]
fn beyond_loopback_needs_the_word() {
    let check = |address: &str, exposure, allowed| {
        let address = address.parse().expect("an address");
        assert_eq!(guard(address, exposure).is_ok(), allowed, "{address}");
    };
    check("127.0.0.1:80", Exposure::Loopback, true);
    check("[::1]:80", Exposure::Loopback, true);
    check("0.0.0.0:80", Exposure::Loopback, false);
    check("[::]:80", Exposure::Loopback, false);
    check("192.168.1.7:80", Exposure::Loopback, false);
    check("192.168.1.7:80", Exposure::Anywhere, true);
}

#[test]
fn foreign_names_and_origins() {
    let check = |host: Option<&str>, origin: Option<&str>, allowed| {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", host), ("origin", origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().expect("a header"));
            }
        }
        assert_eq!(
            check(&headers, None).is_ok(),
            allowed,
            "{host:?} {origin:?}"
        );
    };
    check(None, None, true);
    check(Some("127.0.0.1:8080"), None, true);
    check(Some("127.8.8.8"), None, true);
    check(Some("[::1]:8080"), None, true);
    check(Some("LocalHost:8080"), Some("http://localhost:8080"), true);
    check(Some("evil.example:8080"), None, false);
    check(Some("127.0.0.1.evil.example"), None, false);
    check(Some("localhost@evil.example"), None, false);
    check(Some(""), None, false);
    check(Some("localhost"), Some("https://evil.example"), false);
    check(Some("localhost"), Some("null"), false);
}
