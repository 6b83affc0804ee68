//! HTTP/1.1 as clients write it.

use std::io::{Read, Write};
use std::net::TcpStream;

use batchcall::sandbox::Sandbox;

use crate::client::Client;

#[test]
fn a_base_path_is_part_of_every_address() {
    let sandbox = Sandbox::acumatica().base_path("/Inst/").start().unwrap();
    assert!(sandbox.url().ends_with("/Inst"));
    let mut client = Client::signed_in(&sandbox);
    assert_eq!(client.get("Customer/CUST001").status, 200);
    assert_eq!(
        client.send("GET", "/entity/Default/24.200.001/Customer/CUST001", &[], b"").unwrap().status,
        404
    );
    assert_eq!(client.send("GET", "/inst/ENTITY", &[], b"").unwrap().status, 200);
}

#[test]
fn chunked_bodies_and_expect_continue_are_understood() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
    stream
        .write_all(
            b"POST /entity/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\
              Connection: close\r\n\r\n",
        )
        .unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"10\r\n{\"name\":\"admin\",\r\n14\r\n\"password\": \"admin\"}\r\n0\r\n\r\n").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 204 No Content\r\n"), "{rest}");
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    for id in ["CUST001", "CUST002"] {
        client.write("GET", &format!("/entity/Default/24.200.001/Customer/{id}"), &[], b"").unwrap();
    }
    for id in ["CUST001", "CUST002"] {
        assert_eq!(client.read().unwrap().json()["CustomerID"]["value"], id);
    }
}

#[test]
fn what_is_not_http_gets_400_and_the_server_lives_on() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
    stream.write_all(b"\x16\x03\x01 this is TLS\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(Client::new(&sandbox).send("GET", "/entity", &[], b"").unwrap().status, 200);
}
