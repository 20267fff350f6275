//! Counts of what became of datagrams: `--mode udp`.

/// The first client, and the number of its datagram, of which something is counted.
type Place = (u64, u64);

/// What can happen to a datagram in place of one answer that comes in time, in order and as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramFault {
    /// No answer came by the end of the run.
    Lost,
    /// The answer came after the timeout.
    Late,
    /// The answer came once more.
    Duplicate,
    /// The answer came after that to a later datagram of its client: `Type-P-Reordered` of RFC 4737. Of duplicates only the
    /// first counts, and corrupt answers do not.
    Reordered,
    /// The answer has other bytes or another length.
    Corrupt,
    /// What came answers no datagram of this client, or one too old to be remembered.
    Unexpected,
}

impl DatagramFault {
    /// All kinds, in the order of the result table.
    pub(crate) const ALL: [Self; 6] =
        [Self::Lost, Self::Late, Self::Duplicate, Self::Reordered, Self::Corrupt, Self::Unexpected];

    /// Returns its name in the result table and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Reordered => "reordered",
            Self::Corrupt => "corrupt",
            Self::Unexpected => "unexpected",
        }
    }
}

/// The counts of a run. Each datagram that was sent is answered in time, late, corrupt, or lost. Everything received is
/// one of these answers, a duplicate, another corrupt datagram, or unexpected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Datagrams {
    /// Datagrams that the kernel took.
    pub(crate) sent: u64,
    /// Datagrams received, whatever they were.
    pub(crate) received: u64,
    /// Datagrams without an answer at the timeout. Those whose answer did not come later either are lost.
    pub(crate) timed_out: u64,
    /// Datagrams that the kernel dropped at the sockets of this client, because their receive buffers were full.
    pub(crate) dropped_here: u64,
    /// Datagrams that the kernel dropped at the server's socket. `None` if that is not on this machine.
    pub(crate) dropped_by_server: Option<u64>,
    counts: [u64; DatagramFault::ALL.len()],
    firsts: [Option<Place>; DatagramFault::ALL.len()],
}

impl Datagrams {
    /// Counts a fault of a client's datagram.
    pub(crate) fn add(&mut self, fault: DatagramFault, client: u64, datagram: u64) {
        self.add_many(fault, 1, client, datagram);
    }

    /// Counts faults, the first of which is that of the client's `datagram`.
    pub(crate) fn add_many(&mut self, fault: DatagramFault, count: u64, client: u64, datagram: u64) {
        self.counts[fault as usize] += count;
        self.firsts[fault as usize].get_or_insert((client, datagram));
    }

    pub(crate) fn count(&self, fault: DatagramFault) -> u64 {
        self.counts[fault as usize]
    }

    /// Returns the client and the number of the first datagram with this fault.
    pub(crate) fn first(&self, fault: DatagramFault) -> Option<Place> {
        self.firsts[fault as usize]
    }

    /// Returns the numbers of faults so far: of datagrams without an answer, which are lost or late, and of answers that
    /// were duplicate, reordered, corrupt and unexpected.
    pub(crate) fn faults(&self) -> [u64; 5] {
        use DatagramFault::{Corrupt, Duplicate, Reordered, Unexpected};
        let [duplicate, reordered, corrupt, unexpected] =
            [Duplicate, Reordered, Corrupt, Unexpected].map(|fault| self.count(fault));
        [self.timed_out, duplicate, reordered, corrupt, unexpected]
    }

    /// Returns how many of the lost ones were dropped at the sockets of this client and at that of the server, and how many
    /// elsewhere.
    pub(crate) fn losses(&self) -> (u64, Option<u64>, u64) {
        let known = self.dropped_here + self.dropped_by_server.unwrap_or(0);
        (self.dropped_here, self.dropped_by_server, self.count(DatagramFault::Lost).saturating_sub(known))
    }

    /// Adds the counts of another event loop.
    pub(crate) fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.timed_out += other.timed_out;
        self.dropped_here += other.dropped_here;
        self.dropped_by_server = self.dropped_by_server.or(other.dropped_by_server);
        for index in 0..self.counts.len() {
            self.counts[index] += other.counts[index];
            self.firsts[index] = self.firsts[index].or(other.firsts[index]);
        }
    }
}
