//! By what an upstream and this node know each other: real TLS on loopback, with
//! authorities and certificates made for the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use andon_remote::{ConnectError, Trust, Upstream};
use andon_task::engine::{Chat, GenerateRequest, Message, Prompt, Role};
use andon_task::upstream::{
    Delivery, Letter, Link, Reply, Settings, Timeouts, Upstream as _, UpstreamError,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// Who signs certificates.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { params, key, pem }
    }

    /// A certificate for a name, valid until the end of a year, and its key; both in PEM.
    fn issue(&self, name: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        roots.add(own).expect("a root");
        Arc::new(roots)
    }
}

/// An upstream that speaks TLS; its threads end with the test's process.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// One with this certificate, which asks for one of `clients`, if that is given.
    fn start((certificate, key): (String, String), clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(authority.roots(), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let config = Arc::new(builder.with_single_cert(chain, key).expect("a pair"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("https://{}/v1", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, noted) = (Arc::clone(&config), Arc::clone(&noted));
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("a connection");
                    // A client that does not trust it goes away.
                    serve(StreamOwned::new(connection, stream), &noted).unwrap_or(());
                });
            }
        });
        Self { url, asked }
    }

    fn count(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve(
    stream: StreamOwned<ServerConnection, std::net::TcpStream>,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    asked.fetch_add(1, Ordering::Relaxed);
    let body = r#"{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}"#;
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}

fn settings(url: &str) -> Settings {
    Settings {
        name: "centre".to_owned(),
        url: url.to_owned(),
        model: "large".to_owned(),
        key_env: None,
        key_file: None,
        ca_file: None,
        client_cert_file: None,
        client_key_file: None,
        timeouts: Timeouts::default(),
        price_in: 0.0,
        price_out: 0.0,
        budget_day: None,
        budget_month: None,
        data_class: andon_task::task::DataClass::Internal,
    }
}

/// What an upstream answers to whoever trusts it so.
fn ask(server: &Server, trust: &Trust) -> Result<Reply, UpstreamError> {
    let upstream = Upstream::new(settings(&server.url), None, trust).expect("an upstream");
    let request = GenerateRequest::new(Prompt::Chat(Chat {
        messages: vec![Message {
            role: Role::User,
            content: "a note".to_owned(),
            calls: Vec::new(),
        }],
        tools: Vec::new(),
    }));
    let body = upstream.compose(&request, Delivery::Whole).expect("a body");
    let letter = Letter {
        request: &request,
        body: &body,
        key: "one",
    };
    let answer = upstream.send(&letter, &mut |_| ControlFlow::Continue(()));
    if answer.is_err() {
        // Three attempts, and it is left alone.
        assert_ne!(upstream.link(), Link::Up);
    }
    answer
}

/// Trusting this authority, and shown this pair.
fn trust(authority: &Authority, client: Option<(String, String)>) -> Trust {
    Trust {
        authorities: Some(authority.pem.clone().into_bytes()),
        client: client.map(|(chain, key)| (chain.into_bytes(), key.into_bytes())),
    }
}

#[track_caller]
fn is_refused(server: &Server, trust: &Trust) -> String {
    let before = server.count();
    let error = ask(server, trust).expect_err("it is not trusted");
    assert!(error.is_of_link(), "{error}");
    assert_eq!(server.count(), before, "not a byte of a request came");
    error.to_string()
}

#[test]
fn an_upstream_is_known_by_its_own_authority() {
    let own = Authority::new("plant");
    let other = Authority::new("elsewhere");
    let server = Server::start(own.issue("127.0.0.1", 2099), None);
    let reply = ask(&server, &trust(&own, None)).expect("an answer");
    assert_eq!((reply.text.as_str(), server.count()), ("yes", 1));
    // The system does not know it, and another authority neither.
    is_refused(&server, &Trust::default());
    is_refused(&server, &trust(&other, None));
    // Nor is a certificate for another name taken.
    let elsewhere = Server::start(own.issue("other.example", 2099), None);
    is_refused(&elsewhere, &trust(&own, None));
}

#[test]
fn a_certificate_that_has_expired_is_none() {
    let own = Authority::new("plant");
    let server = Server::start(own.issue("127.0.0.1", 2021), None);
    let said = is_refused(&server, &trust(&own, None)).to_lowercase();
    assert!(
        said.contains("expired") || said.contains("certificate"),
        "{said}"
    );
}

#[test]
fn an_upstream_that_asks_for_a_certificate_gets_one() {
    let (own, nodes) = (Authority::new("plant"), Authority::new("nodes"));
    let server = Server::start(own.issue("127.0.0.1", 2099), Some(&nodes));
    let client = nodes.issue("node-1", 2099);
    ask(&server, &trust(&own, Some(client.clone()))).expect("an answer");
    assert_eq!(server.count(), 1);
    is_refused(&server, &trust(&own, None));
    // One that somebody else signed, and one that has expired.
    is_refused(&server, &trust(&own, Some(own.issue("node-1", 2099))));
    is_refused(&server, &trust(&own, Some(nodes.issue("node-1", 2021))));
    // A key that is none, or a chain that is none, is said before anything is asked.
    for (chain, key) in [("rubbish", client.1.as_str()), (&client.0, "rubbish")] {
        let client = Some((chain.to_owned(), key.to_owned()));
        let made = Upstream::new(settings(&server.url), None, &trust(&own, client));
        assert!(matches!(made.err(), Some(ConnectError::Certificate(_))));
    }
    let empty = Trust {
        authorities: Some(b"no certificate".to_vec()),
        client: None,
    };
    let made = Upstream::new(settings(&server.url), None, &empty);
    assert!(matches!(made.err(), Some(ConnectError::Certificate(_))));
}
