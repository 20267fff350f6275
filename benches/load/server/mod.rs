//! Servers under load: how one is started, and what it uses.

pub(crate) mod process;
pub(crate) mod udp_table;
pub(crate) mod usage;
