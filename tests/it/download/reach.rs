//! The ways to a source: object stores, open and closed; proxies; TLS with authorities that this
//! system trusts or not.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use incdec::download::source::{Access, HttpConfig, Keys, S3Keys, Secret, StoreConfig, open};
use incdec::download::{DownloadConfig, DownloadError, run};
use incdec::hint::Hint;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::ledger;
use super::server::{Server, Terms};
use super::source::{Source, binary};

/// The source's files as they lie in a bucket.
fn bucket(source: &Source, bucket: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    let files = source.files.iter();
    files
        .map(|(path, bytes)| (format!("{bucket}/{path}"), bytes.clone()))
        .collect()
}

fn keys() -> Keys {
    Keys {
        s3: Some(S3Keys {
            id: "AKIDEXAMPLE".into(),
            secret: Secret::new("hush"),
            token: None,
        }),
        google: Some(Secret::new("ya29.token")),
        azure: Some(Secret::new("sv=2024&sig=hush")),
    }
}

fn config(source: &Source, server: &Server, url: &str, access: Access) -> DownloadConfig {
    let config = source.config(url, "a");
    DownloadConfig {
        http: HttpConfig {
            store: StoreConfig {
                endpoint: Some(server.url().into()),
                region: None,
                access,
            },
            ..config.http
        },
        ..config
    }
}

#[test]
fn public_buckets_of_every_store_are_read_without_credentials() {
    for (url, below) in [
        ("s3://kinetics/700", "kinetics/700"),
        ("gs://kinetics/700", "kinetics/700"),
        ("az://account/kinetics", "account/kinetics"),
    ] {
        let source = Source::new(3);
        let server = Server::start(bucket(&source, below));
        run(&config(&source, &server, url, Access::Anonymous)).unwrap();
        source.assert_tree("a");
        let asked = format!("HEAD {below}/train/k700_train_002.tar.gz");
        assert!(
            server.requests().contains(&asked),
            "{:?}",
            server.requests()
        );
    }
}

#[test]
fn closed_buckets_open_to_credentials_which_end_up_nowhere() {
    for (url, below, key) in [
        (
            "s3://private/700",
            "private/700",
            "X-Amz-Credential=AKIDEXAMPLE%2F",
        ),
        ("gs://private/700", "private/700", "Bearer ya29.token"),
        ("az://account/private", "account/private", "sig=hush"),
    ] {
        let source = Source::new(3);
        let terms = Terms {
            key: Some(key),
            ..Terms::default()
        };
        let server = Server::start_on(bucket(&source, below), terms);
        let refused = run(&config(&source, &server, url, Access::Anonymous)).unwrap_err();
        assert!(refused.hint().unwrap().contains("--signed"), "{refused}");
        let config = config(&source, &server, url, Access::Signed(keys()));
        run(&config).unwrap();
        source.assert_tree("a");
        let text = format!("{:?} {config:?}", ledger(&config));
        for secret in ["hush", "X-Amz", "ya29"] {
            assert!(!text.contains(secret), "{url}: {secret}");
        }
        // An error names the file without what opens it.
        let remote = open(&url.into(), &config.http).unwrap();
        let error = remote.facts("absent").unwrap_err().to_string();
        assert!(error.contains("/absent: the server answers 404"), "{error}");
        for secret in ["sig=", "X-Amz", "ya29"] {
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn a_bucket_without_an_index_is_listed() {
    let mut source = Source::new(3);
    source.files.remove("train/k700_2020_train_path.txt");
    let server = Server::start(bucket(&source, "kinetics/700"));
    run(&config(
        &source,
        &server,
        "s3://kinetics/700",
        Access::Anonymous,
    ))
    .unwrap();
    source.assert_tree("a");
}

#[test]
fn signing_without_credentials_is_refused_before_anything_is_asked() {
    let source = Source::new(3);
    let server = Server::start(bucket(&source, "private"));
    let access = Access::Signed(Keys::default());
    let error = run(&config(&source, &server, "s3://private", access)).unwrap_err();
    assert!(
        matches!(error, DownloadError::Credentials { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn the_command_line_takes_credentials_and_region_from_the_environment() {
    let source = Source::new(3);
    let terms = Terms {
        key: Some("X-Amz-Credential=AKIDEXAMPLE%2F"),
        ..Terms::default()
    };
    let server = Server::start_on(bucket(&source, "private"), terms);
    let mut command = binary(&source, "s3://private", "a");
    command.args(["--endpoint", &server.url(), "--signed"]);
    let without = command.output().unwrap();
    assert_eq!(without.status.code(), Some(1));
    assert!(
        stderr(&without).contains("hint: export them"),
        "{}",
        stderr(&without)
    );
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    command.env("AWS_SECRET_ACCESS_KEY", "hush");
    let with = command.env("AWS_REGION", "eu-west-1").output().unwrap();
    assert!(with.status.success(), "{}", stderr(&with));
    source.assert_tree("a");
    let log = fs::read_to_string(source.out("a").join("download.jsonl")).unwrap();
    assert!(!log.contains("hush") && !log.contains("X-Amz"), "{log}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A proxy that connects everyone to `target`, whatever they ask for, and remembers what that was.
fn proxy(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || tunnel(client, target, &heard));
        }
    });
    (address, asked)
}

fn tunnel(client: TcpStream, target: SocketAddr, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    heard.lock().unwrap().push(lines.join("\n"));
    let mut to_client = client;
    let server = TcpStream::connect(target).ok()?;
    to_client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .ok()?;
    let mut to_server = server.try_clone().ok()?;
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut reader, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut { server }, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Both);
    Some(())
}

#[test]
fn the_proxy_of_the_environment_leads_to_the_source() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let (address, asked) = proxy(server.address());
    // No such host exists: only the proxy can know the way.
    let mut command = binary(&source, "http://kinetics.invalid", "a");
    let url = format!("http://me:word@{address}");
    let output = command.env("HTTP_PROXY", url).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    source.assert_tree("a");
    let asked = asked.lock().unwrap();
    let first = asked.first().unwrap();
    assert!(first.starts_with("CONNECT kinetics.invalid:80"), "{first}");
    assert!(
        first
            .to_ascii_lowercase()
            .contains("proxy-authorization: basic"),
        "{first}"
    );
    // Loopback is reached directly, whatever the environment says.
    let mut command = binary(&source, &server.url(), "b");
    let output = command
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_proxy_that_is_not_spoken_here_is_named_as_the_fault() {
    let source = Source::new(3);
    let mut command = binary(&source, "https://kinetics.invalid", "a");
    let output = command
        .env("ALL_PROXY", "socks5://me:word@127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("SOCKS5 is not spoken here") && text.contains("hint:"),
        "{text}"
    );
    assert!(!text.contains("word"), "{text}");
}

/// A certificate authority of the test's own: its certificate as a PEM file, and a server that it
/// vouches for.
fn authority(source: &Source, name: &str) -> (PathBuf, Arc<rustls::ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let path = source.out(name);
    fs::write(&path, certificate.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], leaf_key.into())
        .unwrap();
    (path, Arc::new(config))
}

#[test]
fn a_server_is_trusted_on_the_word_of_the_systems_authorities_alone() {
    let source = Source::new(3);
    let (trusted, tls) = authority(&source, "ca.pem");
    let (other, _) = authority(&source, "other.pem");
    let terms = Terms {
        tls: Some(tls),
        ..Terms::default()
    };
    let server = Server::start_on(source.files.clone(), terms);
    let url = format!("https://localhost:{}", server.address().port());
    let download = |url: &str, authorities: &PathBuf| -> Output {
        let mut command: Command = binary(&source, url, "a");
        // Were it tried again, it would take minutes.
        command.args(["--first-wait", "60"]);
        command.env("SSL_CERT_FILE", authorities).output().unwrap()
    };
    let distrusted = download(&url, &other);
    assert_eq!(distrusted.status.code(), Some(1));
    let text = stderr(&distrusted);
    assert!(text.contains("certificate is not to be trusted"), "{text}");
    assert!(
        text.contains("hint: ") && text.contains("SSL_CERT_FILE"),
        "{text}"
    );
    // The certificate is for a name, not for this address.
    let misnamed = download(&url.replace("localhost", "127.0.0.1"), &trusted);
    assert!(
        stderr(&misnamed).contains("certificate"),
        "{}",
        stderr(&misnamed)
    );
    let sound = download(&url, &trusted);
    assert!(sound.status.success(), "{}", stderr(&sound));
    source.assert_tree("a");
}
