//! `hebra serve --service chat`: an operator and one client, or a room full of clients.
//!
//! It uses the library's public names only. `room` holds the clients, `member` is the handler of one client's session,
//! and `operator` is the terminal or the script beside them.

mod operator;
mod room;
mod member;
mod notice;
mod order;
mod pace;
mod rows;

pub(super) use operator::Operator;
pub(super) use room::{Room, Seats};
