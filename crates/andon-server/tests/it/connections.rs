//! Connections: slow ones, large heads, too many, and TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use andon_server::{Limits, Serving, Tls, TlsFiles, serve_as};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::node::Bench;

const GET: &str = "GET /api/assets HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Serves for as long as the bench is held.
async fn start(serving: Serving) -> (Bench, SocketAddr) {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let node = Arc::clone(&bench.node);
    tokio::spawn(serve_as(serving, listener, node, std::future::pending()));
    (bench, address)
}

fn within(change: impl FnOnce(&mut Limits)) -> Serving {
    let mut serving = Serving::default();
    change(&mut serving.limits);
    serving
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // One that is cut off gives what came before.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drips_a_head_is_cut_off() {
    let head = Duration::from_millis(300);
    let (_bench, address) = start(within(|limits| limits.head = head)).await;
    for beginning in ["", "GET /health HTTP/1.1\r\nhost: local"] {
        let began = Instant::now();
        let stream = send(address, beginning).await;
        let (mut reader, mut writer) = stream.into_split();
        let dripping = tokio::spawn(async move {
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes).await;
        let took = began.elapsed();
        assert!(took >= head && took < Duration::from_secs(5), "{took:?}");
        dripping.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let head = Duration::from_millis(300);
    let (_bench, address) = start(within(|limits| limits.head = head)).await;
    let stream = send(address, &GET.replace("connection: close\r\n", "")).await;
    let began = Instant::now();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let (_bench, address) = start(Serving::default()).await;
    let large = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let answer = rest(send(address, &large).await).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") || answer.is_empty(),
        "{answer}"
    );
    let headers: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    let answer = rest(send(address, &many).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(
        rest(send(address, GET).await)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_and_no_more() {
    let serving = within(|limits| {
        limits.connections = 2;
        limits.head = Duration::from_secs(20);
    });
    let (_bench, address) = start(serving).await;
    let held = [send(address, "").await, send(address, "").await];
    // They are accepted before the third asks.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let third = tokio::spawn(async move { rest(send(address, GET).await).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!third.is_finished());
    drop(held);
    let answer = tokio::time::timeout(Duration::from_secs(5), third).await;
    let answer = answer.expect("a place").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Writes a new certificate for localhost with its key, the key for its owner alone.
fn certify(directory: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    let files = TlsFiles {
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    set_mode(&files.key, 0o600);
    (files, made.cert.der().clone())
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("changed");
}

/// Asks over TLS, trusting one certificate.
async fn ask_trusting(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    stream.write_all(GET.as_bytes()).await?;
    let mut text = String::new();
    // Some end without a last word.
    let _ = stream.read_to_string(&mut text).await;
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_a_new_certificate_is_shown_when_the_files_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let (files, first) = certify(directory.path());
    let tls = Tls::load(files).expect("TLS");
    let serving = Serving {
        tls: Some(tls),
        ..Serving::default()
    };
    let (_bench, address) = start(serving).await;
    let answer = ask_trusting(address, &first).await.expect("TLS");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Plain HTTP gets no answer of HTTP.
    let plain = rest(send(address, GET).await).await;
    assert!(!plain.starts_with("HTTP"), "{plain}");
    // Half of a change is none: the old pair stays.
    std::fs::write(directory.path().join("cert.pem"), "rubbish").expect("written");
    tokio::time::sleep(Duration::from_secs(6)).await;
    ask_trusting(address, &first).await.expect("the old one");
    let (_, second) = certify(directory.path());
    let began = Instant::now();
    while ask_trusting(address, &second).await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the old one is still shown"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn files_that_will_not_do_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |spoil: &dyn Fn(&TlsFiles), expected: &str| {
        let (files, _) = certify(directory.path());
        spoil(&files);
        let error = Tls::load(files).expect_err("it will not do").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|files| set_mode(&files.key, 0o644), "chmod 600");
    check(
        &|files| std::fs::remove_file(&files.key).expect("removed"),
        "cannot read",
    );
    check(
        &|files| std::fs::write(&files.certificate, "").expect("written"),
        "no certificate",
    );
    check(
        &|files| std::fs::write(&files.key, "x").expect("written"),
        "no private key",
    );
    let other = tempfile::tempdir().expect("a directory");
    let (others, _) = certify(other.path());
    check(
        &|files| {
            std::fs::copy(&others.certificate, &files.certificate).expect("copied");
        },
        "cannot be used with its key",
    );
}
