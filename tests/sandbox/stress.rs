//! Many clients, all faults: the server keeps its books and stops when it is told to.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use batchcall::sandbox::{Calls, Fault, Faults, RetryAfter, Sandbox};
use serde_json::json;

use crate::client::Client;

const WORKERS: usize = 6;
const CALLS: usize = 60;

#[test]
fn under_all_faults_at_once_the_history_and_the_records_agree() {
    for seed in 0..4 {
        let faults = Faults::none()
            .reset_before(0.03)
            .reset_during(0.03)
            .reset_after(0.03)
            .truncate(0.03)
            .too_many_requests(0.05, RetryAfter::Seconds(1))
            .unavailable(0.05, RetryAfter::None)
            .rate(0.02, Fault::GatewayTimeout)
            .rate(0.02, Fault::ExpireSession)
            .rate(0.01, Fault::ExpireAllSessions)
            .rate(0.02, Fault::CloseAfter)
            .rate(0.02, Fault::ResetAt(100))
            .rate(0.02, Fault::Latency(Duration::from_millis(2)))
            .rate_on(Calls::Login, 0.1, Fault::Unavailable(RetryAfter::None));
        let sandbox = Sandbox::acumatica()
            .seed(seed)
            .seats(WORKERS - 1)
            .cores(2)
            .action_time(Duration::from_millis(1))
            .faults(faults)
            .start()
            .unwrap();
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let sandbox = &sandbox;
                scope.spawn(move || work(sandbox, worker));
            }
        });
        sandbox.clear_faults();
        sandbox.expire_sessions();

        let history = sandbox.history();
        assert!(history.max_open_sessions() < WORKERS, "seed {seed}");
        assert_eq!(history.logins(), history.logouts() + history.expired(), "seed {seed}");
        assert_eq!(sandbox.open_sessions(), 0);
        let mut inserted: HashMap<&str, usize> = HashMap::new();
        for effect in history.effects().filter(|effect| effect.entity == "StockItem") {
            *inserted.entry(&effect.key).or_default() += 1;
        }
        for key in inserted.keys() {
            assert!(sandbox.record("StockItem", key).is_some(), "seed {seed}: {key} is in the history alone");
        }
        let sequence: Vec<u64> = history.effects().map(|effect| effect.sequence).collect();
        assert!(sequence.windows(2).all(|pair| pair[1] == pair[0] + 1));
        let started = Instant::now();
        sandbox.stop();
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

/// Puts, runs actions and reads, whatever comes back; signs in again whenever it must.
fn work(sandbox: &Sandbox, worker: usize) {
    let mut client = Client::new(sandbox);
    for call in 0..CALLS {
        let (method, path, body) = match call % 4 {
            0 => {
                let body = json!({"InventoryID": {"value": format!("W{worker}C{call}")}});
                ("PUT", "StockItem", body)
            }
            1 => {
                let body = json!({"CustomerID": {"value": "CUST001"}, "Hold": {"value": false},
                    "Details": [{"InventoryID": {"value": "ITEM001"}, "OrderQty": {"value": 1}}]});
                ("PUT", "SalesOrder", body)
            }
            2 => {
                let body = json!({"entity": {"OrderType": {"value": "SO"}, "OrderNbr": {"value": format!("SO{:06}", 4 + call / 4)}}});
                ("POST", "SalesOrder/CreateShipment", body)
            }
            _ => ("GET", "Customer?$top=3", json!(null)),
        };
        let path = format!("/entity/Default/24.200.001/{path}");
        let answer =
            client.send(method, &path, &[("Content-Type", "application/json")], body.to_string().as_bytes());
        match answer.map(|answer| answer.status) {
            Ok(401) => {
                let login = json!({"name": "admin", "password": "admin"}).to_string();
                let answer = client.send("POST", "/entity/auth/login", &[], login.as_bytes());
                if let Ok(answer) = answer {
                    let cookies = answer.headers("Set-Cookie");
                    let cookie = cookies.iter().find(|line| line.starts_with("ASP.NET_SessionId="));
                    client.cookie = cookie.map(|line| line.split(';').next().unwrap().to_owned());
                }
            }
            Ok(_) => {}
            Err(e) => {
                assert!(e.kind() != io::ErrorKind::WouldBlock, "the server hangs: {e}");
                client.reconnect();
            }
        }
    }
    client.reconnect();
    client.logout();
}
