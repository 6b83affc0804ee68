//! A foreign client takes the stand-in for the real thing.

use std::path::Path;
use std::process::Command;

use batchcall::sandbox::Sandbox;

#[test]
fn easy_acumatica_works_with_the_stand_in() {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    if std::env::var_os("BATCHCALL_TEST_PEERS").is_none() {
        eprintln!(
            "SKIPPED: set BATCHCALL_TEST_PEERS=1 after benches/peers/setup.sh to run easy_acumatica 0.6.1"
        );
        return;
    }
    let python = peers.join(".venv/bin/python");
    assert!(python.exists(), "run benches/peers/setup.sh first");
    for base_path in ["", "/Inst"] {
        let sandbox = Sandbox::acumatica().base_path(base_path).start().unwrap();
        let mut run = Command::new(&python);
        run.arg(peers.join("easy_acumatica_fidelity.py")).arg(sandbox.url());
        if !base_path.is_empty() {
            // Its upload doubles the path of the instance: the link holds it, and so does its base URL.
            run.arg("--no-files");
        }
        let output = run.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let history = sandbox.history();
        assert_eq!((history.logins(), sandbox.open_sessions()), (history.logouts(), 0));
    }
}

#[test]
fn three_clients_of_odoo_work_with_the_stand_in() {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    if std::env::var_os("BATCHCALL_TEST_PEERS").is_none() {
        eprintln!(
            "SKIPPED: set BATCHCALL_TEST_PEERS=1 after benches/peers/setup.sh to run zenoo-rpc, odoorpc and odoo-client-lib"
        );
        return;
    }
    let python = peers.join(".venv/bin/python");
    assert!(python.exists(), "run benches/peers/setup.sh first");
    for version in [17, 19] {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let mut run = Command::new(&python);
        run.arg(peers.join("odoo_fidelity.py")).arg(sandbox.url());
        if version == 19 {
            run.arg(sandbox.api_key("admin").unwrap());
        }
        let output = run.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
