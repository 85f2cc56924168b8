use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::*;

/// A file of this test's own process, with that mode; gone with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, mode: u32, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("molt-{}-{name}", std::process::id()));
        drop(fs::remove_file(&path));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("a file");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn find(set: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
    let set: Vec<(String, String)> =
        set.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let get =
        |key: &str| set.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    Credentials::find(get, get)
}

fn header(credentials: &Credentials) -> Option<String> {
    let request = credentials.bearer.clone().call(Request::new(())).expect("a request");
    let shown = shown(request.metadata()).expect("a header that reads");
    shown.map(str::to_owned)
}

#[test]
fn a_token_comes_from_the_environment_or_from_a_file_of_one() {
    let file = Scratch::new("token", 0o600, "molt_filed\n");
    let path = file.path();
    assert_eq!(header(&find(&[]).expect("nothing")), None);
    let named = find(&[("MOLT_COORD_TOKEN", "molt_abc")]).expect("a token");
    assert_eq!(header(&named).as_deref(), Some("molt_abc"));
    assert_eq!(format!("{named:?}"), "Credentials { ca: false, certificate: false, token: true }");
    for key in ["MOLT_COORD_TOKEN_FILE", "tokenFile"] {
        let filed = find(&[(key, &path)]).expect("a token");
        assert_eq!(header(&filed).as_deref(), Some("molt_filed"), "{key}");
    }
    let both = [("MOLT_COORD_TOKEN", "molt_abc"), ("tokenFile", &path)];
    assert_eq!(header(&find(&both).expect("a token")).as_deref(), Some("molt_abc"));
}

#[test]
fn a_machine_shows_what_is_its_own_and_nothing_of_its_users() {
    let file = Scratch::new("host", 0o600, "molt_host");
    let path = file.path();
    let of_host = |set: &[(&str, &str)]| {
        let get = |key: &str| {
            set.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned())
        };
        Credentials::of_host(get, get)
    };
    let users = [("MOLT_COORD_TOKEN", "molt_user"), ("tokenFile", "/nowhere")];
    assert!(!of_host(&users).expect("nothing of the users'").prove_somebody());
    for key in ["MOLT_HOST_TOKEN_FILE", "hostTokenFile"] {
        let own = of_host(&[users[0], (key, &path)]).expect("a token");
        assert!(own.prove_somebody());
        assert_eq!(header(&own).as_deref(), Some("molt_host"), "{key}");
    }
    let half = of_host(&[("hostCert", &path)]).expect_err("no key");
    assert_eq!(half.to_string(), "MOLT_HOST_CERT is of no use without MOLT_HOST_KEY");
    assert!(!find(&[("MOLT_HOST_TOKEN_FILE", &path)]).expect("nothing").prove_somebody());
}

#[test]
fn what_does_not_fit_says_why_and_keeps_the_secret() {
    let open = Scratch::new("open", 0o644, "molt_secret");
    let other = Scratch::new("other", 0o600, "hunter2");
    let (open, other) = (open.path(), other.path());
    let table = [
        (
            vec![("MOLT_COORD_TOKEN_FILE", open.as_str())],
            format!("{open}: others can read it (mode 644): chmod 600 it"),
        ),
        (
            vec![("MOLT_COORD_TOKEN_FILE", other.as_str())],
            "MOLT_COORD_TOKEN_FILE has no token: one begins with molt_".to_owned(),
        ),
        (vec![("MOLT_COORD_TOKEN", "molt_a b\n")], String::new()),
        (
            vec![("MOLT_COORD_TOKEN", "molt_a"), ("MOLT_COORD_TOKEN_FILE", other.as_str())],
            "MOLT_COORD_TOKEN and MOLT_COORD_TOKEN_FILE are both set: unset one".to_owned(),
        ),
        (
            vec![("MOLT_COORD_CERT", open.as_str())],
            "MOLT_COORD_CERT is of no use without MOLT_COORD_KEY".to_owned(),
        ),
        (
            vec![("MOLT_COORD_CERT", open.as_str()), ("MOLT_COORD_KEY", open.as_str())],
            format!("{open}: others can read it (mode 644): chmod 600 it"),
        ),
        (
            vec![("MOLT_COORD_CA", "/nowhere/ca")],
            "cannot read /nowhere/ca, which MOLT_COORD_CA names".to_owned(),
        ),
    ];
    for (set, problem) in table {
        match find(&set) {
            Err(error) => {
                let text = error.to_string();
                assert_eq!(text, problem);
                assert!(!text.contains("hunter2") && !text.contains("molt_secret"), "{text}");
            }
            Ok(_) => assert_eq!(problem, "", "{set:?}"),
        }
    }
}

#[test]
fn a_token_never_leaves_the_machine_in_the_clear() {
    let token = find(&[("MOLT_COORD_TOKEN", "molt_abc")]).expect("a token");
    for near in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
        assert!(token.endpoint(near).is_ok(), "{near}");
    }
    for far in ["http://10.0.0.1:1", "http://localhost.example:1", "http://127.0.0.1.example:1"] {
        let error = token.endpoint(far).expect_err("a refusal").to_string();
        assert!(error.starts_with(&format!("the token is not sent to {far}")), "{error}");
    }
    assert!(find(&[]).expect("nothing").endpoint("http://10.0.0.1:1").is_ok());
    let unbelieved = token.endpoint("https://10.0.0.1:1").expect_err("a refusal").to_string();
    assert!(unbelieved.starts_with("https://10.0.0.1:1 needs MOLT_COORD_CA"), "{unbelieved}");
}

#[test]
fn a_header_is_one_bearer_token_or_an_error_without_it() {
    let head = |texts: &[&str]| {
        let mut metadata = MetadataMap::new();
        for text in texts {
            metadata.append(HEADER, text.parse().expect("ASCII"));
        }
        shown(&metadata).map(|token| token.map(str::to_owned))
    };
    assert_eq!(head(&[]), Ok(None));
    assert_eq!(head(&["bearer  molt_x "]), Ok(Some("molt_x".to_owned())));
    let wrong = Err("the header authorization is no `Bearer molt_…`".to_owned());
    for text in ["Basic molt_x", "Bearer secret", "molt_x", ""] {
        assert_eq!(head(&[text]), wrong, "{text}");
    }
    assert_eq!(
        head(&["Bearer molt_x", "Bearer molt_y"]),
        Err("the header authorization is there twice".to_owned())
    );
}
