//! Stand-in servers on loopback.
