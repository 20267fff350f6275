//! `hebra udp`: `serve` and `send`.

mod arguments;
mod send;
mod serve;

pub(super) use arguments::UdpCommand;

/// Runs the command; the exit code.
pub(super) fn run(command: UdpCommand) -> u8 {
    match command {
        UdpCommand::Serve(arguments) => serve::run(arguments),
        UdpCommand::Send(arguments) => send::run(arguments),
    }
}
