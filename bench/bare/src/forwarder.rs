//! From what came to what leaves: opened once, grouped by destination, sealed for each, in runs.

use std::collections::HashMap;
use std::ops::Range;

use crate::plan::{self, Plan};
use crate::rtp;
use crate::socket::{Inbox, Name, Outbox, RUN, Run, SEGMENTS, SENT_AT_ONCE, Socket};
use crate::srtp::Stream;

/// Bytes that lie sealed before they leave, at most: a second-level cache holds them.
const ARENA: usize = 4 * RUN;

/// All streams, and room to work in.
pub struct Forwarder {
    sources: Vec<Source>,
    by_ssrc: HashMap<u32, usize>,
    queues: Vec<Queue>,
    /// Destinations that get something of this batch.
    touched: Vec<usize>,
    opened: Vec<Opened>,
    tray: Tray,
}

struct Source {
    from: Name,
    stream: Stream,
    highest: Option<u64>,
    sinks: Vec<Sink>,
}

struct Sink {
    destination: usize,
    stream: Stream,
    /// From the source's index to ours, chosen with the first packet.
    shift: Option<i64>,
}

/// What one destination gets of this batch.
struct Queue {
    to: Name,
    /// Of `opened`, and of its source's sinks.
    items: Vec<(usize, usize)>,
}

/// A packet that has been opened where it lies in the inbox.
struct Opened {
    source: usize,
    index: u64,
    head: Range<usize>,
    body: Range<usize>,
}

impl Forwarder {
    /// Makes all key schedules. The error is a sentence.
    pub fn new(plan: &Plan) -> Result<Self, String> {
        let mut forwarder = Forwarder {
            sources: Vec::new(),
            by_ssrc: HashMap::new(),
            queues: Vec::new(),
            touched: Vec::new(),
            opened: Vec::new(),
            tray: Tray::new(),
        };
        let mut destinations = HashMap::new();
        for source in &plan.sources {
            let mut sinks = Vec::new();
            for sink in &source.sinks {
                let destination = *destinations.entry(sink.to).or_insert_with(|| {
                    let (to, items) = (sink.to.into(), Vec::new());
                    forwarder.queues.push(Queue { to, items });
                    forwarder.queues.len() - 1
                });
                let stream = stream(plan.profile, sink.ssrc, &sink.key, &sink.salt)?;
                sinks.push(Sink {
                    destination,
                    stream,
                    shift: None,
                });
            }
            forwarder
                .by_ssrc
                .insert(source.ssrc, forwarder.sources.len());
            forwarder.sources.push(Source {
                from: source.from.into(),
                stream: stream(plan.profile, source.ssrc, &source.key, &source.salt)?,
                highest: None,
                sinks,
            });
        }
        Ok(forwarder)
    }

    /// Sends on what lies in the inbox.
    pub fn forward(&mut self, inbox: &mut Inbox, socket: &Socket) {
        self.open(inbox);
        for (number, packet) in self.opened.iter().enumerate() {
            for (place, sink) in self.sources[packet.source].sinks.iter().enumerate() {
                let items = &mut self.queues[sink.destination].items;
                if items.is_empty() {
                    self.touched.push(sink.destination);
                }
                items.push((number, place));
            }
        }
        for destination in self.touched.drain(..) {
            let queue = &mut self.queues[destination];
            for (number, place) in queue.items.drain(..) {
                let packet = &self.opened[number];
                let sink = &mut self.sources[packet.source].sinks[place];
                let Some(index) = sink.index(packet.index) else {
                    continue;
                };
                let (head, body) = (
                    &inbox.bytes[packet.head.clone()],
                    &inbox.bytes[packet.body.clone()],
                );
                let length = head.len() + body.len() + sink.stream.tag_len();
                let room = self.tray.room(queue.to, length, socket);
                let (new_head, sealed) = room.split_at_mut(head.len());
                new_head.copy_from_slice(head);
                rtp::rename(new_head, index as u16, sink.stream.ssrc());
                if sink.stream.seal(index, new_head, body, sealed).is_err() {
                    self.tray.take_back(length);
                }
            }
        }
        self.tray.send(socket);
    }

    /// Opens what comes from whom it should, in place.
    fn open(&mut self, inbox: &mut Inbox) {
        self.opened.clear();
        inbox.each(|from, bytes, at| {
            let Some(head) = rtp::head_len(bytes) else {
                return;
            };
            let Some(&number) = self.by_ssrc.get(&rtp::ssrc(bytes)) else {
                return;
            };
            let source = &mut self.sources[number];
            let (head, body) = bytes.split_at_mut(head);
            let Some(index) = rtp::index(source.highest, rtp::sequence(head)) else {
                return;
            };
            if from != source.from {
                return;
            }
            let Ok(plain) = source.stream.open(index, head, body) else {
                return;
            };
            source.highest = source.highest.max(Some(index));
            let start = at + head.len();
            self.opened.push(Opened {
                source: number,
                index,
                head: at..start,
                body: start..start + plain.len(),
            });
        });
    }
}

impl Sink {
    /// Our index of a source's; gaps stay gaps. `None` for packets from before the first.
    fn index(&mut self, theirs: u64) -> Option<u64> {
        // Half the sequence numbers before a roll-over, which a receiver that misses the first
        // packets could not see (RFC 3711 section 3.3.1).
        const FIRST: u64 = 1 << 12;
        let shift = *self
            .shift
            .get_or_insert(FIRST.wrapping_sub(theirs).cast_signed());
        theirs.checked_add_signed(shift)
    }
}

fn stream(profile: plan::Profile, ssrc: u32, key: &[u8], salt: &[u8]) -> Result<Stream, String> {
    let made = Stream::new(profile, ssrc, key, salt);
    made.map_err(|_| format!("no keys can be made for SSRC {ssrc}"))
}

/// Sealed packets on their way out: runs in an arena.
struct Tray {
    arena: Vec<u8>,
    used: usize,
    runs: Vec<Run>,
    outbox: Outbox,
}

impl Tray {
    fn new() -> Self {
        Tray {
            arena: vec![0; ARENA],
            used: 0,
            runs: Vec::with_capacity(SENT_AT_ONCE),
            outbox: Outbox::new(),
        }
    }

    /// Room for one more packet, behind what its destination already gets if that is possible.
    fn room(&mut self, to: Name, length: usize, socket: &Socket) -> &mut [u8] {
        let joins = self.runs.last().is_some_and(|run| run.takes(to, length));
        if self.arena.len() - self.used < length || !joins && self.runs.len() == SENT_AT_ONCE {
            self.send(socket);
        }
        let start = self.used;
        self.used += length;
        match self.runs.last_mut() {
            Some(run) if joins => run.bytes.end = self.used,
            _ => self.runs.push(Run {
                to,
                bytes: start..self.used,
                segment: length,
            }),
        }
        &mut self.arena[start..self.used]
    }

    /// The last packet is not to leave.
    fn take_back(&mut self, length: usize) {
        self.used -= length;
        if let Some(run) = self.runs.last_mut() {
            run.bytes.end = self.used;
        }
        self.runs.pop_if(|run| run.bytes.is_empty());
    }

    fn send(&mut self, socket: &Socket) {
        if !self.runs.is_empty() {
            self.outbox.send(socket, &mut self.arena, &mut self.runs);
        }
        self.runs.clear();
        self.used = 0;
    }
}

impl Run {
    /// Whether another packet can be part of it: all but the last are of one size.
    fn takes(&self, to: Name, length: usize) -> bool {
        let used = self.bytes.len();
        self.to == to
            && length <= self.segment
            && used.is_multiple_of(self.segment)
            && used / self.segment < SEGMENTS
            && used + length <= RUN
    }
}
