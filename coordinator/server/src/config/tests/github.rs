//! What is told about `[github]`, and about repositories that are there.

use crate::config::{Config, GithubAccess, GithubConfig};

use super::{args, examine, folder, refused, refused_mode, sound, told};

const APP: &str = "[github]\napp = 12345\nkey_file = 'github.pem'\n";
const REPO: &str = "[[repo]]\ngithub = 'acme/widget'\n";

fn github(text: &str) -> (GithubConfig, Config) {
    let config = sound(&folder(text), &[]);
    (config.github.clone().expect("a github"), config)
}

/// Checks that the table with `keys` below `[github]` is refused with exactly these findings.
#[track_caller]
fn faulty(keys: &str, expected: &[&str]) {
    refused(&format!("{REPO}[github]\n{keys}\n"), expected);
}

#[test]
fn the_least_is_an_app_or_a_token() {
    let text = format!("{APP}{REPO}");
    let app_folder = folder(&text);
    let config = sound(&app_folder, &[]);
    let github = config.github.expect("a github");
    let key_file = app_folder.path().join("github.pem");
    assert_eq!(github.access, GithubAccess::App { id: 12345, installation: None, key_file });
    assert_eq!(
        (&*github.api, github.handle.to_string()),
        ("https://api.github.com", "molt".into())
    );
    assert_eq!((github.label, &*github.check), (None, "molt"));
    let [repo] = &*config.repos else { panic!("one repository") };
    assert_eq!(repo.github.as_ref().map(ToString::to_string).as_deref(), Some("acme/widget"));
    assert_eq!(repo.remote, "https://github.com/acme/widget.git");
    let token_folder = folder(&format!("[github]\ntoken_file = 'word'\n{REPO}"));
    let token = sound(&token_folder, &[]).github.expect("a github").access;
    assert_eq!(token, GithubAccess::Token { file: token_folder.path().join("word") });
    let plain = sound(&folder(super::REPO), &[]);
    assert_eq!((plain.github, plain.repos[0].github.clone()), (None, None));
}

#[test]
fn everything_can_be_said() {
    let (github, config) = github(
        "[github]\napi = 'https://git.example/api/v3/'\napp = 4294967297\ninstallation = 678\n\
         key_file = 'github.pem'\nhandle = 'Land-It'\nlabel = 'molt:land'\ncheck = 'molt / train'\n\
         [[repo]]\ngithub = 'acme/widget'\n\
         [[repo]]\nname = 'docs'\ngithub = 'acme/docs'\nremote = 'git@git.example:acme/docs.git'\n\
         [[repo]]\nname = 'plain'\nremote = './plain.git'\n",
    );
    assert_eq!(github.api, "https://git.example/api/v3");
    let GithubAccess::App { id, installation, .. } = github.access else { panic!("an app") };
    assert_eq!((id, installation), (4_294_967_297, Some(678)));
    assert_eq!(
        (github.handle.to_string(), github.label),
        ("Land-It".into(), Some("molt:land".into()))
    );
    assert_eq!(github.check, "molt / train");
    let remotes: Vec<&str> = config.repos.iter().map(|repo| &*repo.remote).collect();
    assert_eq!(
        remotes[..2],
        ["https://git.example/acme/widget.git", "git@git.example:acme/docs.git"]
    );
    assert_eq!(config.repos[2].github, None);
}

#[test]
fn an_app_and_a_token_are_not_given_at_once() {
    faulty(
        "",
        &[
            "c.toml:3: github.key_file: missing: write key_file = \"github.pem\", or token_file of a \
           personal token",
        ],
    );
    faulty("key_file = 'github.pem'", &["c.toml:3: github.app: missing: write app = 12345"]);
    faulty(
        "app = 1\ninstallation = 2",
        &[
            "c.toml:3: github.key_file: missing: write key_file = \"github.pem\", or token_file of a \
           personal token",
        ],
    );
    let both = "an app's, beside `token_file`: write either an app or a personal token";
    faulty(
        "token_file = 'word'\napp = 1\ninstallation = 2\nkey_file = 'github.pem'",
        &[
            &format!("c.toml:5: github.app: {both}"),
            &format!("c.toml:6: github.installation: {both}"),
            &format!("c.toml:7: github.key_file: {both}"),
        ],
    );
}

#[test]
fn what_is_no_setting_is_told_in_its_line() {
    let access = "token_file = 'word'";
    faulty(
        &format!(
            "{access}\napy = 'x'\nhandle = '@molt'\nlabel = '{}'\ncheck = ' '",
            "l".repeat(51)
        ),
        &[
            "c.toml:5: github.apy: unknown key, did you mean `api`?",
            "c.toml:6: github.handle: no handle: 1 to 39 letters, digits and hyphens",
            "c.toml:7: github.label: 51 characters are more than 50",
            "c.toml:8: github.check: is empty",
        ],
    );
    let fifty = format!("[github]\n{access}\nlabel = '{}'\n{REPO}", "ä".repeat(50));
    assert_eq!(github(&fifty).0.label, Some("ä".repeat(50)));
    faulty(
        &format!("{access}\nlabel = 'a '\ncheck = \"a\\nb\""),
        &[
            "c.toml:5: github.label: is no name on one line without spaces around it",
            "c.toml:6: github.check: is no name on one line without spaces around it",
        ],
    );
    faulty(
        "app = 0\ninstallation = 'x'\nkey_file = 'github.pem'",
        &[
            "c.toml:4: github.app: 0 is not from 1 to 9007199254740991",
            "c.toml:5: github.installation: expected a whole number, found a string",
        ],
    );
    refused(
        &format!("github = 'x'\n{REPO}"),
        &["c.toml:1: github: expected a table, found a string"],
    );
}

#[test]
fn tokens_go_to_no_address_in_the_clear() {
    let of = |api: &str| format!("[github]\ntoken_file = 'word'\napi = '{api}'\n{REPO}");
    for bad in ["http://git.example/api/v3", "git.example", "https://me:it@git.example/api/v3"] {
        let told = format!(
            "c.toml:3: github.api: `{bad}` is no address of a github api: expected https://HOST or \
             https://HOST/api/v3"
        );
        refused(&of(bad), &[&told]);
    }
    let (_, config) = github(&of("http://127.0.0.1:81"));
    assert_eq!(config.repos[0].remote, "http://127.0.0.1:81/acme/widget.git");
}

#[test]
fn a_key_is_rsa_and_a_token_is_a_word() {
    let key = |name: &str| format!("app = 1\nkey_file = '{name}'");
    let no_pem = "no private key in PEM: download one from the app's settings";
    faulty(&key("word"), &[&format!("c.toml:5: github.key_file: word: {no_pem}")]);
    faulty(
        &key("gone.pem"),
        &["c.toml:5: github.key_file: gone.pem: No such file or directory (os error 2)"],
    );
    let told = refused_mode(&format!("{REPO}[github]\n{}\n", key("ec.pem")), "ec.pem", 0o600);
    assert!(told.contains("ec.pem: the key is no RSA key: apps have RSA keys alone"), "{told}");
    let open = refused_mode(&format!("{APP}{REPO}"), "github.pem", 0o604);
    assert!(open.contains("github.pem can be read by others (mode 0604)"), "{open}");
    faulty("token_file = 'empty'", &["c.toml:4: github.token_file: empty: there is no token"]);
    faulty(
        "token_file = 'github.pem'",
        &["c.toml:4: github.token_file: github.pem: there is something beside a token"],
    );
}

#[test]
fn a_repository_there_takes_a_github_and_is_one() {
    refused(REPO, &["c.toml:2: repo.github: there is no [github] that says how it is asked"]);
    refused(
        &format!("{APP}[[repo]]\ngithub = 'widget'\n[[repo]]\nname = 'docs'\n"),
        &[
            "c.toml:5: repo.github: `widget` names no repository at github: expected OWNER/NAME",
            "c.toml:6: repo.remote: missing: write remote = \"git@HOST:PROJECT.git\"",
        ],
    );
    refused(
        &format!("{APP}{REPO}[[repo]]\nname = 'other'\nremote = 'x'\ngithub = 'Acme/Widget'\n"),
        &["c.toml:6: repo.github: `Acme/Widget` is the repository `main` already, in line 4"],
    );
}

#[test]
fn a_github_without_a_repository_is_noted() {
    let note = "c.toml:1: note: github: no repository is there: give a [[repo]] its name as github \
                = \"OWNER/NAME\"";
    let text = format!("{APP}{}", super::REPO);
    let idle = folder(&text);
    let examined = examine(&idle, &[]);
    assert_eq!(told(&idle, &examined), [note]);
    assert!(examined.config.is_some(), "a note keeps nobody from serving");
    let replaced = folder(&format!("{APP}{REPO}"));
    let examined = examine(&replaced, &["--remote", "other"]);
    assert_eq!(told(&replaced, &examined), [note]);
    let alone = args(&["--remote", "r", "--data", "/d"]).config().expect("a command line");
    assert_eq!(alone.github, None);
}
