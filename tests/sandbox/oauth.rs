//! OAuth: tokens and the sessions that they open.

use std::time::Duration;

use batchcall::sandbox::{Sandbox, SeatRefusal};
use serde_json::Value;

use crate::client::{Answer, Client};

const CLIENT: &str = "client_id=4751CD4D-6A0C-5B4E-9D0A-5E8F5D7D2F5E%40Company&client_secret=secret";

fn token(client: &mut Client, form: &str) -> Answer {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    client.send("POST", "/identity/connect/token", &headers, format!("{CLIENT}&{form}").as_bytes()).unwrap()
}

fn password(client: &mut Client, scope: &str) -> Value {
    let answer = token(client, &format!("grant_type=password&username=admin&password=admin&scope={scope}"));
    assert_eq!(answer.status, 200);
    answer.json()
}

fn get(client: &mut Client, token: &Value) -> Answer {
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    client.call_with("GET", "Customer/CUST001", &[("Authorization", &bearer)], "")
}

#[test]
fn a_token_opens_one_session_and_signing_out_closes_it() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let api = password(&mut client, "api");
    assert!(api.get("refresh_token").is_none());
    assert_eq!(sandbox.open_sessions(), 0, "a token alone takes no seat");
    assert_eq!((get(&mut client, &api).status, get(&mut client, &api).status), (200, 200));
    assert_eq!(sandbox.open_sessions(), 1);
    let bearer = format!("Bearer {}", api["access_token"].as_str().unwrap());
    client.send("POST", "/entity/auth/logout", &[("Authorization", &bearer)], b"").unwrap();
    assert_eq!(sandbox.open_sessions(), 0);
}

#[test]
fn a_refreshed_grant_keeps_its_session_and_a_refresh_token_works_once() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let first = password(&mut client, "api%20offline_access");
    get(&mut client, &first);
    let refresh =
        format!("grant_type=refresh_token&refresh_token={}", first["refresh_token"].as_str().unwrap());
    let second = token(&mut client, &refresh).json();
    assert_eq!(get(&mut client, &second).status, 200);
    assert_eq!((sandbox.history().logins(), sandbox.open_sessions()), (1, 1));
    let again = token(&mut client, &refresh);
    assert_eq!((again.status, again.json()["error"].clone()), (400, "invalid_grant".into()));
}

#[test]
fn concurrent_access_opens_a_session_for_each_request_without_a_cookie() {
    let sandbox = Sandbox::acumatica().seats(2).seat_refusal(SeatRefusal::Redirect).start().unwrap();
    let mut client = Client::new(&sandbox);
    let many = password(&mut client, "api:concurrent_access");
    let first = get(&mut client, &many);
    assert_eq!((first.status, get(&mut client, &many).status), (200, 200));
    assert_eq!(sandbox.open_sessions(), 2);
    let refused = get(&mut client, &many);
    assert_eq!(refused.status, 302);
    assert!(refused.header("Location").unwrap().contains("concurrent%20API%20logins"));
    let cookies = first.headers("Set-Cookie");
    let cookie = cookies.iter().find(|line| line.starts_with("ASP.NET_SessionId=")).unwrap();
    client.cookie = Some(cookie.split(';').next().unwrap().to_owned());
    assert_eq!(get(&mut client, &many).status, 200);
}

#[test]
fn a_code_is_exchanged_for_a_token_once() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let id = "4751CD4D-6A0C-5B4E-9D0A-5E8F5D7D2F5E%40Company";
    let path = format!(
        "/identity/connect/authorize?response_type=code&client_id={id}&redirect_uri=http://127.0.0.1:1/cb&scope=api&state=x%26y"
    );
    let answer = client.send("GET", &path, &[], b"").unwrap();
    assert_eq!(answer.status, 302);
    let back = answer.header("Location").unwrap();
    assert!(back.starts_with("http://127.0.0.1:1/cb?code=") && back.ends_with("&state=x%26y"), "{back}");
    let code = back.split(['=', '&']).nth(1).unwrap();
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri=http://127.0.0.1:1/cb");
    let first = token(&mut client, &form);
    assert_eq!(get(&mut client, &first.json()).status, 200);
    assert_eq!(token(&mut client, &form).status, 400);
}

#[test]
fn bad_credentials_bad_clients_and_old_tokens_are_refused() {
    let sandbox = Sandbox::acumatica().token_life(Duration::ZERO).start().unwrap();
    let mut client = Client::new(&sandbox);
    let wrong = token(&mut client, "grant_type=password&username=admin&password=no");
    assert_eq!(
        (wrong.status, wrong.json()["error_description"].clone()),
        (400, "invalid_username_or_password".into())
    );
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let stranger =
        client.send("POST", "/identity/connect/token", &headers, b"client_id=x&grant_type=password").unwrap();
    assert_eq!(stranger.json()["error"], "invalid_client");
    let old = password(&mut client, "api");
    assert_eq!(get(&mut client, &old).status, 401);
    let found = client.send("GET", "/identity/.well-known/openid-configuration", &[], b"").unwrap().json();
    assert!(found["token_endpoint"].as_str().unwrap().ends_with("/identity/connect/token"));
}
