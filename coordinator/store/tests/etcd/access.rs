//! Passwords, certificates, endpoints that do not belong together.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use etcd_client::{Permission, PermissionType};
use molt_store::etcd::{ConnectError, EtcdOptions, EtcdStore, Tls};
use molt_store::rig::etcd::PROGRAM;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::fleet::{Leader, beside, cluster, fresh_fleet_at, options_at, record, whole};

async fn refused(options: EtcdOptions) -> ConnectError {
    EtcdStore::connect(options).await.expect_err("a store that cannot be reached so")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_with_the_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let error = refused(fresh_fleet_at(vec![endpoint.clone()])).await;
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    let text = whole(&error);
    assert!(text.contains(&endpoint) && text.contains("refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_two_clusters_are_refused() {
    let (one, other) = (cluster(1).await, cluster(1).await);
    let endpoints = [one.endpoints(), other.endpoints()].concat();
    let error = refused(fresh_fleet_at(endpoints)).await;
    assert!(matches!(error, ConnectError::Barred { .. }), "{error:?}");
    assert!(whole(&error).contains("cluster"), "{}", whole(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_needs_the_right_password_and_rights() {
    let cluster = cluster(1).await;
    let mut client = beside(&cluster).await;
    let permission = Permission::new(PermissionType::Readwrite, "/molt/v1/main/").with_prefix();
    client.role_add("fleet").await.unwrap();
    client.role_grant_permission("fleet", permission).await.unwrap();
    client.user_add("molt", "right", None).await.unwrap();
    client.user_grant_role("molt", "fleet").await.unwrap();
    client.user_add("root", "root", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();

    let options = options_at(cluster.endpoints(), "main");
    for (options, expected) in [
        (options.clone(), "user name is empty"),
        (options.clone().user("molt", "wrong"), "invalid user ID or password"),
        (options_at(cluster.endpoints(), "else").user("molt", "right"), "permission denied"),
    ] {
        let error = refused(options).await;
        assert!(matches!(error, ConnectError::Credentials(_)), "{error:?}");
        assert!(whole(&error).contains(expected), "{}", whole(&error));
    }
    let mut leader = Leader::of(&options.user("molt", "right")).await;
    leader.commit(&[record("a", "1")]).await.unwrap();
    assert_eq!(leader.records().await, [record("a", "1")]);
    let report = leader.store.examine().await;
    assert_eq!(report.head, Some(1), "{report}");
}

/// A certificate authority and whom it vouches for, as PEM.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn vouch(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn trusted(&self) -> Tls {
        Tls { ca: self.pem.clone().into_bytes(), identity: None }
    }
}

/// An etcd that speaks TLS alone and wants a certificate of its clients.
struct Guarded {
    endpoint: String,
    child: Child,
    _folder: TempDir,
}

impl Guarded {
    fn start(authority: &Authority) -> Self {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = authority.vouch();
        let (ca, cert, key) =
            (write("ca", &authority.pem), write("cert", &cert), write("key", &key));
        let ports = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
        let [clients, peers] = ports.map(|port| port.local_addr().unwrap());
        let endpoint = format!("https://{clients}");
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| "etcd".into());
        let mut command = Command::new(program);
        let mut option = |name: &str, value: &Path| {
            command.arg(name).arg(value);
        };
        option("--data-dir", &folder.path().join("data"));
        option("--listen-client-urls", endpoint.as_ref());
        option("--advertise-client-urls", endpoint.as_ref());
        option("--listen-peer-urls", format!("http://{peers}").as_ref());
        option("--cert-file", &cert);
        option("--key-file", &key);
        option("--trusted-ca-file", &ca);
        command.arg("--client-cert-auth").stdout(Stdio::null()).stderr(Stdio::null());
        command.env_remove(PROGRAM);
        let child = command.spawn().unwrap();
        Self { endpoint, child, _folder: folder }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_open_the_door_and_others_do_not() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let etcd = Guarded::start(&authority);
    let options = || fresh_fleet_at(vec![etcd.endpoint.clone()]);
    let identity = |by: &Authority| {
        let (cert, key) = by.vouch();
        Some((cert.into_bytes(), key.into_bytes()))
    };
    let tls = Tls { identity: identity(&authority), ..authority.trusted() };
    let began = Instant::now();
    while let Err(error) = EtcdStore::connect(options().tls(tls.clone())).await {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", whole(&error));
        sleep(Duration::from_millis(50)).await;
    }
    let mut leader = Leader::of(&options().tls(tls)).await;
    leader.commit(&[record("a", "1")]).await.unwrap();

    let wrong_ca = Tls { identity: identity(&authority), ..stranger.trusted() };
    let wrong_identity = Tls { identity: identity(&stranger), ..authority.trusted() };
    for (tls, expected) in [
        (wrong_ca, "invalid peer certificate"),
        (authority.trusted(), "it may want a certificate from us"),
        (wrong_identity, "it may not trust our certificate"),
    ] {
        let error = refused(options().tls(tls)).await;
        assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
        assert!(whole(&error).contains(expected), "{}", whole(&error));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_etcd_behind_an_encrypted_address_is_said() {
    let cluster = cluster(1).await;
    let endpoint = cluster.members()[0].endpoint().replace("http:", "https:");
    let error =
        refused(fresh_fleet_at(vec![endpoint.clone()]).tls(Authority::new().trusted())).await;
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    assert!(whole(&error).contains(&endpoint), "{}", whole(&error));
}
