//! A real object store on loopback: SeaweedFS, one program with all that it takes to speak S3, with keys.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use incdec::store::{Access, HttpConfig, Keys, S3Keys, Secret, StoreConfig};
use rusty_s3::actions::{CreateBucket, PutObject};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use crate::support::root;

pub(super) const KEY: &str = "AKIDEXAMPLE";
pub(super) const SECRET: &str = "hush";
/// How long is waited for the store before the test is given up as hanging.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The store; it ends when this is dropped.
pub(super) struct Seaweed {
    folder: tempfile::TempDir,
    /// Of master, volume, filer and S3, and of what they speak among themselves.
    ports: [u16; 8],
    server: Option<Child>,
}

impl Seaweed {
    /// Starts it and makes the bucket `bucket`.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = serde_json::json!([{ "accessKey": KEY, "secretKey": SECRET }]);
        let actions = ["Admin", "Read", "Write", "List"];
        let identity =
            serde_json::json!({ "name": "tests", "credentials": credentials, "actions": actions });
        let settings = serde_json::json!({ "identities": [identity] });
        fs::write(folder.path().join("s3.json"), settings.to_string()).unwrap();
        let mut store = Self {
            folder,
            ports: free_ports(),
            server: None,
        };
        store.resume();
        store.create_bucket();
        store
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[6])
    }

    /// How the store is asked with its keys.
    pub(super) fn http(&self) -> HttpConfig {
        HttpConfig {
            store: StoreConfig {
                endpoint: Some(self.endpoint().into()),
                region: None,
                access: Access::Signed(Keys {
                    s3: Some(S3Keys {
                        id: KEY.to_owned(),
                        secret: Secret::new(SECRET),
                        token: None,
                    }),
                    ..Keys::default()
                }),
            },
            ..HttpConfig::default()
        }
    }

    /// Kills it without a word.
    pub(super) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts it with the files that it had, and waits until it answers.
    pub(super) fn resume(&mut self) {
        let data = self.folder.path().join("data");
        fs::create_dir_all(&data).unwrap();
        let log = fs::File::create(self.log()).unwrap();
        let mut server = Command::new(root().join(".venv/bin/weed"));
        server.args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        server.arg(format!("-dir={}", data.display()));
        let settings = self.folder.path().join("s3.json");
        server.arg(format!("-s3.config={}", settings.display()));
        let programs = ["master", "volume", "filer", "s3"];
        for (program, ports) in programs.iter().zip(self.ports.chunks(2)) {
            server.arg(format!("-{program}.port={}", ports[0]));
            server.arg(format!("-{program}.port.grpc={}", ports[1]));
        }
        server.args(["-master.volumeSizeLimitMB=64", "-volume.max=20"]);
        // Catalogues of tables would listen on the same ports in every store, and end all but one.
        server.args([
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
        ]);
        server.current_dir(self.folder.path());
        server
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log);
        self.server = Some(server.spawn().unwrap());
        let begun = Instant::now();
        // Whoever asks without keys is told so once the store is up.
        while ureq::get(self.endpoint())
            .call()
            .is_err_and(|e| !matches!(e, ureq::Error::StatusCode(403)))
        {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            assert!(
                begun.elapsed() < PATIENCE,
                "the store does not come up: {log}"
            );
            sleep(LOOK_AGAIN);
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn bucket(&self) -> (Bucket, Credentials) {
        let endpoint = self.endpoint().parse().unwrap();
        let bucket = Bucket::new(endpoint, UrlStyle::Path, "bucket", "us-east-1").unwrap();
        (bucket, Credentials::new(KEY, SECRET))
    }

    /// Puts a file in the place of the one that the bucket has under this name.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) {
        let (bucket, keys) = self.bucket();
        let url = PutObject::new(&bucket, Some(&keys), name).sign(Duration::from_secs(60));
        ureq::put(url.as_str()).send(bytes).unwrap();
    }

    fn create_bucket(&self) {
        let (bucket, keys) = self.bucket();
        let begun = Instant::now();
        loop {
            let url = CreateBucket::new(&bucket, &keys).sign(Duration::from_secs(60));
            match ureq::put(url.as_str()).send_empty() {
                Ok(_) => return,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            sleep(LOOK_AGAIN);
        }
    }
}

/// Ports that nobody listens on, below those that connections of this and of other tests are given.
fn free_ports() -> [u16; 8] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap() * 100;
    let candidates = std::iter::from_fn(|| Some(first + NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut free =
        candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    std::array::from_fn(|_| free.next().unwrap())
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.kill();
    }
}
