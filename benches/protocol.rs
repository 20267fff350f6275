//! How fast the protocol core is, without sockets.

fn main() {
    divan::main();
}
