//! `hebra udp`: `serve` and `send`.

pub(super) mod send;
pub(super) mod serve;
