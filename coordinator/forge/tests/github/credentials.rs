//! By what right requests are made.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use molt_forge::github::{App, Cause, Limit, Operation, Rights};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs1KeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::script::{APP, KEY, Reply, say, served};

#[test]
fn an_apps_token_is_signed_and_short_lived() {
    let app = App::new(APP, KEY).unwrap();
    let token = app.token(UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
    let (signed, signature) = token.expose_secret().rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let parts: Vec<Value> =
        signed.split('.').map(|part| serde_json::from_slice(&decode(part)).unwrap()).collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT"}));
    assert_eq!(parts[1], json!({"iat": 999_940, "exp": 1_000_540, "iss": "4711"}));
    let key = PrivatePkcs1KeyDer::from_pem_slice(KEY).unwrap();
    let key = RsaKeyPair::from_der(key.secret_pkcs1_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &decode(signature)).unwrap();
    assert!(!format!("{app:?}").contains("key"), "{app:?}");
}

#[test]
fn a_key_that_is_none_says_what_is_wrong_and_shows_nothing_of_it() {
    let pem = String::from_utf8(KEY.to_vec()).unwrap();
    let cut = pem.replacen("MII", "", 1);
    for bad in ["", "hunter2", "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", &cut] {
        let said = App::new(APP, bad.as_bytes()).unwrap_err().to_string();
        assert!(said.contains("key") && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_is_made_however_many_want_it() {
    let (client, script) = served([], 0).await;
    let ask = || client.read::<Value>(Operation::REPOSITORY.route());
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!((script.tokens(), script.asked().len()), (1, 4));
    let rights = Rights::from([("contents".to_owned(), "write".to_owned())]);
    assert_eq!(client.rights().await, Ok(Some(rights)));
    assert_eq!(script.tokens(), 1);
}

#[tokio::test]
async fn a_token_is_made_anew_before_its_end() {
    let (client, script) = served([], 0).await;
    for (life, made) in [(299, 1), (301, 2), (301, 2), (3600, 2)] {
        script.set_life(Duration::from_secs(life));
        assert!(client.read::<Value>(Operation::REPOSITORY.route()).await.is_ok());
        assert_eq!(script.tokens(), made, "of {life} s");
    }
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_made_anew_once() {
    let refused = || say(401, &json!({"message": "Bad credentials"}));
    let (client, script) = served([refused(), say(201, &json!({"id": 5}))], 0).await;
    let made = client.read::<Value>(Operation::COMMENT.route().body(json!({"body": "x"}))).await;
    assert_eq!(made, Ok(json!({"id": 5})));
    let bearers: Vec<String> = script.asked().into_iter().map(|asked| asked.bearer).collect();
    assert_eq!((bearers.len(), script.tokens()), (2, 2));
    assert_ne!(bearers[0], bearers[1]);

    let (client, script) = served([refused(), refused(), refused()], 0).await;
    let error = client.read::<Value>(Operation::COMMENT.route()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unauthorized { .. }), "{error}");
    assert_eq!((script.asked().len(), script.tokens()), (2, 2), "and no more");
}

#[tokio::test]
async fn no_token_is_made_while_github_wants_to_hear_nothing() {
    let limited = say(429, &json!({"message": "You have exceeded a secondary rate limit"}));
    let (client, script) = served([limited], 0).await;
    assert!(client.token(false).await.is_ok());
    assert!(client.read::<Value>(Operation::REPOSITORY.route()).await.is_err(), "a cooldown");
    let error = client.token(true).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Cooldown { .. }), "{error}");
    assert_eq!(error.operation, Operation::TOKEN);
    let error = client.rights().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Cooldown { .. }), "{error}");
    assert_eq!(script.tokens(), 1);
}

#[tokio::test]
async fn a_token_that_was_too_much_to_ask_for_is_a_cooldown_for_all() {
    let (client, script) = served([], 0).await;
    let head = vec![("retry-after", "90".to_owned())];
    script.refuse_token(Reply::Say(403, head, String::new()));
    for _ in 0..3 {
        let error = client.read::<Value>(Operation::REPOSITORY.route()).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Cooldown { limit: Limit::Secondary, .. }), "{error}");
    }
    assert_eq!((script.tokens(), script.asked().len()), (1, 0));
    assert!(client.governor().cooldown().is_some_and(|left| left.as_secs() > 80));
}

#[tokio::test]
async fn a_clock_that_is_off_is_set_by_githubs() {
    for ahead in [-3600, -600, 0, 600, 86_400] {
        let (client, script) = served([], ahead).await;
        let read = client.read::<Value>(Operation::REPOSITORY.route()).await;
        assert!(read.is_ok(), "{ahead} s ahead: {read:?}");
        assert_eq!(script.tokens(), if ahead == 0 { 1 } else { 2 }, "{ahead} s ahead");
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_is_asked_with_once() {
    let message = "A JSON web token could not be decoded";
    let (client, script) = served([say(401, &json!({"message": message}))], 0).await;
    let error = client.read::<Value>(Operation::APP.route()).await.unwrap_err();
    assert_eq!(error.cause, Cause::Unauthorized { message: message.to_owned() });
    assert_eq!(script.asked().len(), 1);
}
