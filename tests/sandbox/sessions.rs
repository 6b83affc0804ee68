//! Signing in and out, seats, and how sessions end.

use std::thread;
use std::time::{Duration, Instant};

use batchcall::sandbox::{Sandbox, SeatRefusal};

use crate::client::Client;

#[test]
fn a_login_answers_204_with_the_recorded_cookies_most_of_them_twice() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let answer = client.login("admin", "admin");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let cookies = answer.headers("Set-Cookie");
    let count = |name: &str| cookies.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!(
        (count("ASP.NET_SessionId="), count(".ASPXAUTH="), count("Locale=Culture=en-US&TimeZone=")),
        (2, 2, 2)
    );
    assert!(cookies.iter().any(|line| line.starts_with(".ASPXAUTH=") && line.contains("secure")));
    assert!(!cookies.iter().any(|line| line.starts_with("ASP.NET_SessionId=") && line.contains("secure")));
    assert_eq!(client.get("Customer/CUST001").status, 200);
    assert_eq!(client.logout().status, 204);
    assert_eq!(client.get("Customer/CUST001").status, 401);
    let history = sandbox.history();
    assert_eq!((history.logins(), history.logouts(), sandbox.open_sessions()), (1, 1, 0));
}

#[test]
fn a_wrong_password_is_an_exception_with_status_500() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let answer = Client::new(&sandbox).login("admin", "wrong");
    assert_eq!(answer.status, 500);
    let body = answer.json();
    assert_eq!(body["exceptionMessage"], "Error: Invalid credentials. Please try again.");
    assert_eq!(body["exceptionType"], "PX.Data.PXException");
    assert!(body["stackTrace"].is_string());
    assert_eq!(sandbox.history().wrong_passwords(), 1);
}

#[test]
fn a_login_by_form_works_and_tenant_with_company_does_not() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::new(&sandbox);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let good = client.send("POST", "/entity/auth/login", &form, b"name=admin&password=admin&tenant=Company");
    assert_eq!(good.unwrap().status, 204);
    let both = client.send(
        "POST",
        "/entity/auth/login",
        &form,
        b"name=admin&password=admin&tenant=Company&company=Company",
    );
    assert_eq!(both.unwrap().status, 500);
    let empty = client.send("POST", "/entity/auth/login", &[], b"").unwrap();
    assert_eq!(empty.status, 400);
    assert_eq!(empty.json()["modelState"][""][0], "The request body should not be empty.");
}

#[test]
fn a_full_house_is_refused_in_each_of_the_four_known_ways() {
    let refusals = [
        (SeatRefusal::TooManyRequests, 429),
        (SeatRefusal::LoginLimit, 500),
        (SeatRefusal::Redirect, 302),
        (SeatRefusal::UnauthorizedAfterLogin, 204),
    ];
    for (refusal, status) in refusals {
        let sandbox = Sandbox::acumatica().seats(1).seat_refusal(refusal).start().unwrap();
        let mut first = Client::signed_in(&sandbox);
        let mut second = Client::new(&sandbox);
        let answer = second.login("admin", "admin");
        assert_eq!(answer.status, status, "{refusal:?}");
        match refusal {
            SeatRefusal::LoginLimit => {
                assert!(
                    answer.text().contains("API Login Limit")
                        && answer.text().contains("CheckApiUsersLimits")
                );
            }
            SeatRefusal::Redirect => {
                let to = answer.header("Location").unwrap();
                assert!(
                    to.starts_with("/Frames/Error.aspx?") && to.contains("message=The%20number%20of"),
                    "{to}"
                );
            }
            SeatRefusal::UnauthorizedAfterLogin => assert_eq!(second.get("Customer/CUST001").status, 401),
            _ => {}
        }
        let history = sandbox.history();
        assert_eq!((history.logins(), history.refused_logins(), history.max_open_sessions()), (1, 1, 1));
        // A seat that is given back is free at once.
        first.logout();
        assert_eq!(second.login("admin", "admin").status, 204);
        assert_eq!(second.get("Customer/CUST001").status, 200);
    }
}

#[test]
fn requests_of_one_session_are_served_one_at_a_time() {
    let sandbox = Sandbox::acumatica().latency(Duration::from_millis(100)).start().unwrap();
    let time = |clients: Vec<Client>| {
        let started = Instant::now();
        thread::scope(|scope| {
            for mut client in clients {
                scope.spawn(move || assert_eq!(client.get("Customer/CUST001").status, 200));
            }
        });
        started.elapsed()
    };
    let one = Client::signed_in(&sandbox);
    let together = time((0..4).map(|_| one.twin()).collect());
    assert!(together >= Duration::from_millis(400), "{together:?}");
    assert_eq!(sandbox.history().max_in_flight_per_session(), 4);
    let apart = time((0..4).map(|_| Client::signed_in(&sandbox)).collect());
    assert!(apart < Duration::from_millis(350), "{apart:?}");
}

#[test]
fn sessions_end_by_idling_by_count_and_on_demand() {
    let sandbox = Sandbox::acumatica().session_idle(Duration::from_millis(60)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    thread::sleep(Duration::from_millis(80));
    assert_eq!(client.get("Customer/CUST001").status, 401);
    assert_eq!(sandbox.history().expired(), 1);

    let sandbox = Sandbox::acumatica().expire_after(2).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let statuses: Vec<u16> = (0..4).map(|_| client.get("Customer/CUST001").status).collect();
    assert_eq!(statuses, [200, 200, 401, 401]);

    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut clients = [Client::signed_in(&sandbox), Client::signed_in(&sandbox)];
    sandbox.expire_sessions();
    assert!(clients.iter_mut().all(|client| client.get("Customer/CUST001").status == 401));
    assert_eq!((sandbox.history().expired(), sandbox.open_sessions()), (2, 0));
}

#[test]
fn a_killed_server_loses_its_sessions_and_keeps_its_records() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    sandbox.pause();
    assert!(client.send("GET", "/entity", &[], b"").is_err());
    assert!(std::net::TcpStream::connect(("127.0.0.1", sandbox.port())).is_err());
    sandbox.resume().unwrap();
    client.reconnect();
    assert_eq!(client.get("Customer/CUST001").status, 401);
    assert_eq!(client.login("admin", "admin").status, 204);
    assert_eq!(client.get("Customer/CUST001").status, 200);
}

#[test]
fn a_killed_server_does_not_apply_what_it_was_working_on() {
    let sandbox = Sandbox::acumatica().latency(Duration::from_secs(2)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    thread::scope(|scope| {
        scope.spawn(move || {
            assert!(client.send("DELETE", "/entity/Default/24.200.001/StockItem/ITEM001", &[], b"").is_err());
        });
        // Long enough for the request to arrive, shorter than the work on it.
        thread::sleep(Duration::from_millis(150));
        let started = Instant::now();
        sandbox.pause();
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    });
    assert!(sandbox.record("StockItem", "ITEM001").is_some());
    assert_eq!(sandbox.history().effects().count(), 0);
}
