//! `hebra serve --service chat`: an operator and one client, or a room full of them.
//!
//! It is built on the library's public names alone: `room` is the service, `operator` the terminal beside it.

mod operator;
mod room;

pub(super) use operator::Operator;
pub(super) use room::{Room, Seats};
