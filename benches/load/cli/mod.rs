//! The command line of one run, and what happens from its flags to its exit code.

mod values;
pub(crate) mod problem;
pub(crate) mod files;
pub(crate) mod arguments;
pub(crate) mod installation;
pub(crate) mod live;
mod target;
mod search;
pub(crate) mod single;
