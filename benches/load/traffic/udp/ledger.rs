//! What became of each datagram of one client, by its sequence number. It touches no socket and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::context::Request;

/// The datagrams of one client. It remembers those from the oldest one without an answer on.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The sequence number of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
    /// No datagram before this one waits.
    first_waiting: u64,
    /// How many wait.
    waiting: usize,
    /// Those that are not remembered any more and have no answer.
    forgotten: u64,
    /// The first of them.
    first_forgotten: Option<u64>,
    /// The sequence number after the largest one that was answered: `NextExp` of RFC 4737.
    next_expected: u64,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Waiting(Request),
    /// It has no answer at the timeout.
    TimedOut(Request),
    Answered,
}

/// What an answer is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// The first one to this request.
    First {
        request: Request,
        is_late: bool,
        is_reordered: bool,
    },
    Duplicate,
    /// The datagram was not sent, or is too old to be remembered.
    Unknown,
}

impl Ledger {
    /// Returns how many datagrams were sent, which is the sequence number of the next one.
    pub(crate) fn sent(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Adds the datagram that was just sent.
    pub(crate) fn add(&mut self, request: Request) {
        self.entries.push_back(Entry::Waiting(request));
        self.waiting += 1;
    }

    /// Returns how many datagrams wait for their answers.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Iterates over the numbers of those that wait.
    pub(crate) fn waiting_numbers(&self) -> impl Iterator<Item = u64> {
        let skipped = (self.first_waiting - self.first) as usize;
        let entries = self.entries.iter().enumerate().skip(skipped);
        entries.filter(|(_, entry)| matches!(entry, Entry::Waiting(_))).map(|(index, _)| self.first + index as u64)
    }

    /// Iterates over the requests without an answer that are remembered.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &Request> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Waiting(request) | Entry::TimedOut(request) => Some(request),
            Entry::Answered => None,
        })
    }

    /// Returns how many datagrams have no answer, and the number of the first of them.
    pub(crate) fn lost(&self) -> (u64, Option<u64>) {
        let first = self.entries.iter().position(|entry| !matches!(entry, Entry::Answered));
        let first = first.map(|index| self.first + index as u64);
        (self.forgotten + self.unanswered().count() as u64, self.first_forgotten.or(first))
    }

    /// Takes an answer with the right bytes.
    pub(crate) fn answer(&mut self, sequence: u64) -> Answer {
        let mut answer = self.settle(sequence);
        if let Answer::First { is_reordered, .. } = &mut answer {
            *is_reordered = sequence < self.next_expected;
            self.next_expected = self.next_expected.max(sequence + 1);
        }
        answer
    }

    /// Takes an answer with wrong bytes. It has no place in the order of answers.
    pub(crate) fn settle(&mut self, sequence: u64) -> Answer {
        let Some(index) = sequence.checked_sub(self.first) else {
            // Unless some are forgotten, all that are not remembered were answered.
            return if self.forgotten == 0 { Answer::Duplicate } else { Answer::Unknown };
        };
        let Some(entry) = self.entries.get_mut(index as usize) else { return Answer::Unknown };
        let (request, is_late) = match *entry {
            Entry::Waiting(request) => (request, false),
            Entry::TimedOut(request) => (request, true),
            Entry::Answered => return Answer::Duplicate,
        };
        *entry = Entry::Answered;
        self.waiting -= usize::from(!is_late);
        self.trim(usize::MAX);
        Answer::First { request, is_late, is_reordered: false }
    }

    /// Notes which datagrams have waited for longer than `timeout`, and forgets the oldest of them if more than `kept`
    /// datagrams are remembered. Returns how many have timed out just now.
    pub(crate) fn time_out(&mut self, now: Instant, timeout: Duration, kept: usize) -> u64 {
        let mut timed_out = 0;
        while let Some(entry) = self.entries.get_mut((self.first_waiting - self.first) as usize) {
            match *entry {
                Entry::Waiting(request) if now.saturating_duration_since(request.begun) > timeout => {
                    *entry = Entry::TimedOut(request);
                    timed_out += 1;
                }
                Entry::Waiting(_) => break,
                _ => {}
            }
            self.first_waiting += 1;
        }
        self.waiting -= timed_out as usize;
        self.trim(kept);
        timed_out
    }

    /// Removes the oldest entries: those that are answered, and those that timed out as long as there are more than `kept`.
    fn trim(&mut self, kept: usize) {
        while let Some(entry) = self.entries.front() {
            match entry {
                Entry::Answered => {}
                Entry::TimedOut(_) if self.entries.len() > kept => {
                    self.forgotten += 1;
                    self.first_forgotten.get_or_insert(self.first);
                }
                _ => break,
            }
            self.entries.pop_front();
            self.first += 1;
        }
        self.first_waiting = self.first_waiting.max(self.first);
    }
}
