//! What the licence allows.

use std::thread;
use std::time::{Duration, Instant};

use batchcall::sandbox::Sandbox;

use crate::client::Client;

#[test]
fn fifty_at_once_on_sixteen_cores_make_sixteen_run_twenty_wait_and_fourteen_be_declined() {
    let sandbox = Sandbox::acumatica().cores(16).latency(Duration::from_millis(300)).start().unwrap();
    // Signing in one after the other stays within the limit.
    let clients: Vec<Client> = thread::scope(|scope| {
        let logins: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| (0..10).map(|_| Client::signed_in(&sandbox)).collect::<Vec<_>>()))
            .collect();
        logins.into_iter().flat_map(|login| login.join().unwrap()).collect()
    });
    let started = Instant::now();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let calls: Vec<_> = clients
            .into_iter()
            .map(|mut client| scope.spawn(move || client.get("Customer/CUST001").status))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!((count(200), count(429)), (36, 14));
    assert!(started.elapsed() >= Duration::from_millis(900), "36 requests on 16 cores take three turns");
}

#[test]
fn from_half_of_the_minute_on_requests_are_delayed_without_a_hint() {
    let minute = Duration::from_secs(4);
    let sandbox = Sandbox::acumatica().requests_per_minute(20).minute(minute).start().unwrap();
    let started = Instant::now();
    let mut client = Client::signed_in(&sandbox);
    for _ in 0..9 {
        assert_eq!(client.get("Customer/CUST001").status, 200);
    }
    assert!(started.elapsed() < Duration::from_millis(1200), "the first half comes at once");
    let before = Instant::now();
    assert_eq!(client.get("Customer/CUST001").status, 200);
    // Ten requests remain for the rest of the minute of 4 s: about 400 ms each.
    let delay = before.elapsed();
    assert!((250..1500).contains(&delay.as_millis()), "{delay:?}");
    for _ in 0..9 {
        assert_eq!(client.get("Customer/CUST001").status, 200);
    }
    let all = started.elapsed();
    assert!((3300..8000).contains(&all.as_millis()), "twenty requests fill the minute: {all:?}");
}

#[test]
fn signing_out_does_not_wait_in_the_queue() {
    let sandbox = Sandbox::acumatica().cores(1).latency(Duration::from_secs(2)).start().unwrap();
    let mut leaving = Client::signed_in(&sandbox);
    let mut busy = Client::signed_in(&sandbox);
    thread::scope(|scope| {
        scope.spawn(move || assert_eq!(busy.get("Customer/CUST001").status, 200));
        // The other request has the only core by now, or will have it: either way this does not wait.
        thread::sleep(Duration::from_millis(50));
        let started = Instant::now();
        assert_eq!(leaving.logout().status, 204);
        assert!(started.elapsed() < Duration::from_secs(1));
    });
}
