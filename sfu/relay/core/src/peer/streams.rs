//! What one peer sends: its SSRCs, each with a replay window, and the layers of tracks they are.
//!
//! SSRCs are looked up here and nowhere else: one that another peer declared means nothing (a peer
//! must not reach another's track by sealing with its SSRC).

mod repairs;

pub use repairs::NotRecovered;

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::command::{Encoding, TrackRepair};
use crate::limits::{Defences, Limits};
use crate::rtp::{Extension, ExtensionMap, Header};
use crate::srtp::{OpenError, Opener, ReplayWindow};
use crate::units::{LayerId, Ssrc, Time};

/// One layer of one track: what a stream feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The track's key.
    pub track: usize,
    /// Which of its encodings.
    pub layer: LayerId,
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The cap on streams or senders was reached; of a pipe: nobody announced it.
    Limit,
    /// Replay window or authentication.
    Srtp(OpenError),
}

/// What a packet turned out to feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The layer.
    pub feed: Feed,
    /// Its stream came under another SSRC before: sequence numbers and timestamps begin anew.
    pub restarted: bool,
}

struct Stream {
    window: ReplayWindow,
    feed: Option<Feed>,
    /// The layer whose lost packets it carries.
    repairs: Option<Feed>,
    heard: Time,
    /// It said goodbye.
    ended: bool,
}

/// An encoding whose SSRC is learned may be taken over by another one after so long a silence.
const SUPERSEDED_AFTER: Duration = Duration::from_secs(2);

struct Section {
    track: usize,
    mid: String,
    encodings: Vec<Encoding>,
    extensions: ExtensionMap,
    repair: TrackRepair,
}

impl Section {
    fn feed(&self, encoding: usize) -> Option<Feed> {
        let layer = LayerId(u8::try_from(encoding).ok()?);
        let track = self.track;
        Some(Feed { track, layer })
    }
}

/// Ids of the extensions the relay reads, 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtensionIds {
    /// RFC 9143.
    pub mid: u8,
    /// RFC 8852.
    pub rid: u8,
    /// RFC 8852, of a repair stream.
    pub repaired_rid: u8,
    /// RFC 6464.
    pub audio_level: u8,
    /// Transport-wide sequence number.
    pub transport_sequence: u8,
    /// AV1 dependency descriptor.
    pub dependency_descriptor: u8,
}

/// What one peer sends.
pub struct Streams {
    by_ssrc: FxHashMap<Ssrc, Stream>,
    declared: FxHashMap<Ssrc, Feed>,
    /// The media SSRC of each announced retransmission SSRC.
    repairs: FxHashMap<Ssrc, Ssrc>,
    /// Payload types of retransmission, one bit each.
    repair_types: u128,
    sections: Vec<Section>,
    ids: ExtensionIds,
    rtcp_windows: FxHashMap<Ssrc, ReplayWindow>,
    max_streams: usize,
    max_rtcp_senders: usize,
    /// Of a pipe: nothing but what is announced by SSRC is opened.
    announced_only: bool,
    defences: Defences,
}

impl Streams {
    /// No stream.
    pub fn new(limits: &Limits) -> Self {
        Streams {
            by_ssrc: FxHashMap::default(),
            declared: FxHashMap::default(),
            repairs: FxHashMap::default(),
            repair_types: 0,
            sections: Vec::new(),
            ids: ExtensionIds::default(),
            rtcp_windows: FxHashMap::default(),
            max_streams: limits.streams_per_peer,
            max_rtcp_senders: limits.rtcp_senders_per_peer,
            announced_only: false,
            defences: limits.defences,
        }
    }

    /// No stream, from the other end of a pipe, which announces each by its SSRC and never uses one again. So what is
    /// kept is bounded by the tracks there are, however long the pipe lives: once a track is gone, its SSRC is a stranger's.
    /// All its RTCP is numbered together, as ours is, whoever of its streams speaks.
    pub fn of_pipe(limits: &Limits) -> Self {
        Streams {
            announced_only: true,
            ..Streams::new(limits)
        }
    }

    /// The extension ids of this transport (one numbering for all its sections, RFC 8843 section 9).
    pub fn ids(&self) -> ExtensionIds {
        self.ids
    }

    /// Whether an SSRC is declared or was heard.
    pub fn knows(&self, ssrc: Ssrc) -> bool {
        self.declared.contains_key(&ssrc)
            || self.repairs.contains_key(&ssrc)
            || self.by_ssrc.contains_key(&ssrc)
    }

    /// Whether these encodings claim an SSRC that another track has.
    pub fn conflicts(&self, encodings: &[Encoding]) -> bool {
        encodings.iter().any(|encoding| match encoding {
            Encoding::Ssrc(ssrc) => self.declared.contains_key(ssrc),
            _ => false,
        })
    }

    /// A track's section is expected from now on.
    pub fn add_track(
        &mut self,
        track: usize,
        mid: &str,
        encodings: &[Encoding],
        extensions: &ExtensionMap,
        repair: &TrackRepair,
    ) {
        for (layer, encoding) in (0..).zip(encodings) {
            if let Encoding::Ssrc(ssrc) = encoding {
                self.declared.insert(
                    *ssrc,
                    Feed {
                        track,
                        layer: LayerId(layer),
                    },
                );
            }
        }
        self.sections.push(Section {
            track,
            mid: mid.to_owned(),
            encodings: encodings.to_vec(),
            extensions: extensions.clone(),
            repair: repair.clone(),
        });
        let pairs = repair.streams.iter();
        self.repairs
            .extend(pairs.map(|(media, repair)| (*repair, *media)));
        self.renumber();
    }

    /// A track is gone. Its streams keep their windows, so that nothing of them can be replayed; those of a pipe are
    /// opened no more.
    pub fn remove_track(&mut self, track: usize) {
        for section in self
            .sections
            .iter()
            .filter(|section| section.track == track)
        {
            for (_, repair) in &section.repair.streams {
                self.repairs.remove(repair);
            }
        }
        self.sections.retain(|section| section.track != track);
        self.declared.retain(|_, feed| feed.track != track);
        if self.announced_only {
            let declared = &self.declared;
            self.by_ssrc.retain(|ssrc, _| declared.contains_key(ssrc));
        }
        for stream in self.by_ssrc.values_mut() {
            stream.feed = stream.feed.filter(|feed| feed.track != track);
            stream.repairs = stream.repairs.filter(|feed| feed.track != track);
        }
        self.renumber();
    }

    /// Authenticates and decrypts in place; returns packet index and plain length. An SSRC heard for
    /// the first time is opened under a fresh window, which is kept only when that succeeds: forged
    /// SSRCs take no place.
    pub fn open(
        &mut self,
        opener: &Opener,
        header: &Header,
        packet: &mut [u8],
    ) -> Result<(u64, usize), Refusal> {
        if !self.defences.refuses_replays() {
            let opened = opener.open_rtp(&mut ReplayWindow::new(), header, packet);
            return opened.map_err(Refusal::Srtp);
        }
        if let Some(stream) = self.by_ssrc.get_mut(&header.ssrc) {
            let opened = opener.open_rtp(&mut stream.window, header, packet);
            return opened.map_err(Refusal::Srtp);
        }
        let has_place = match self.announced_only {
            true => self.declared.contains_key(&header.ssrc),
            false => self.by_ssrc.len() < self.max_streams,
        };
        if !has_place {
            return Err(Refusal::Limit);
        }
        let mut window = ReplayWindow::new();
        let opened = opener
            .open_rtp(&mut window, header, packet)
            .map_err(Refusal::Srtp)?;
        self.by_ssrc.insert(
            header.ssrc,
            Stream {
                window,
                feed: None,
                repairs: None,
                heard: Time::ZERO,
                ended: false,
            },
        );
        Ok(opened)
    }

    /// What an opened packet feeds: as bound before, as declared, or as its MID and RID say.
    pub fn feed(&mut self, now: Time, header: &Header, plain: &[u8]) -> Option<Bound> {
        if let Some(stream) = self.by_ssrc.get_mut(&header.ssrc) {
            stream.heard = now;
            stream.ended = false;
            if let Some(feed) = stream.feed {
                return Some(Bound {
                    feed,
                    restarted: false,
                });
            }
            if stream.repairs.is_some() {
                return None;
            }
        }
        let declared = self.declared.get(&header.ssrc).copied();
        let feed = declared.or_else(|| self.feed_by_extensions(header, plain))?;
        // One stream per encoding: a second SSRC must not mix its sequence numbers into the first's.
        let mut streams = self.by_ssrc.values_mut();
        let previous = streams.find(|stream| stream.feed == Some(feed));
        let restarted = previous.is_some();
        if let Some(previous) = previous {
            if !previous.ended && now.since(previous.heard) < SUPERSEDED_AFTER {
                return None;
            }
            previous.feed = None;
            self.unbind_repairs(feed);
        }
        if let Some(stream) = self.by_ssrc.get_mut(&header.ssrc) {
            stream.feed = Some(feed);
        }
        Some(Bound { feed, restarted })
    }

    /// The stream said goodbye. Its window stays, so that nothing of it can be replayed.
    pub fn end(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.by_ssrc.get_mut(&ssrc) {
            stream.ended = true;
        }
    }

    /// What this peer declared for an SSRC.
    pub fn declared(&self, ssrc: Ssrc) -> Option<Feed> {
        self.declared.get(&ssrc).copied()
    }

    /// What an SSRC has been bound to.
    pub fn bound(&self, ssrc: Ssrc) -> Option<Feed> {
        self.by_ssrc.get(&ssrc).and_then(|stream| stream.feed)
    }

    /// SSRCs that feed something.
    pub fn feeds(&self) -> impl Iterator<Item = (Ssrc, Feed)> + '_ {
        self.by_ssrc
            .iter()
            .filter_map(|(ssrc, stream)| Some((*ssrc, stream.feed?)))
    }

    /// Authenticates and decrypts a compound RTCP packet in place; returns its plain length.
    pub fn open_rtcp(&mut self, opener: &Opener, packet: &mut [u8]) -> Result<usize, Refusal> {
        let sender: [u8; 4] = packet
            .get(4..8)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Refusal::Srtp(OpenError::Malformed))?;
        let sender = match self.announced_only {
            true => Ssrc(0),
            false => Ssrc(u32::from_be_bytes(sender)),
        };
        if let Some(window) = self.rtcp_windows.get_mut(&sender) {
            return opener.open_rtcp(window, packet).map_err(Refusal::Srtp);
        }
        if self.rtcp_windows.len() >= self.max_rtcp_senders {
            return Err(Refusal::Limit);
        }
        let mut window = ReplayWindow::new();
        let len = opener
            .open_rtcp(&mut window, packet)
            .map_err(Refusal::Srtp)?;
        self.rtcp_windows.insert(sender, window);
        Ok(len)
    }

    fn feed_by_extensions(&self, header: &Header, plain: &[u8]) -> Option<Feed> {
        let (mut mid, mut rid) = (None, None);
        for (id, value) in header.extensions(plain) {
            if id == 0 {
                continue;
            } else if id == self.ids.mid {
                mid = Some(value);
            } else if id == self.ids.rid {
                rid = Some(value);
            } else if id == self.ids.repaired_rid {
                return None; // retransmissions, in a format that nobody negotiated
            }
        }
        let mid = mid?;
        let section = self
            .sections
            .iter()
            .find(|section| section.mid.as_bytes() == mid)?;
        let layer = section
            .encodings
            .iter()
            .position(|encoding| match (encoding, rid) {
                (Encoding::Rid(name), Some(rid)) => name.as_bytes() == rid,
                (Encoding::Mid, None) => true,
                _ => false,
            })?;
        section.feed(layer)
    }

    fn renumber(&mut self) {
        let sections = &self.sections;
        let formats = sections.iter().flat_map(|section| &section.repair.formats);
        self.repair_types = formats.fold(0, |all, format| all | repairs::bit(format.payload_type));
        let id = |kind| {
            sections
                .iter()
                .find_map(|section| section.extensions.id(kind))
                .unwrap_or(0)
        };
        self.ids = ExtensionIds {
            mid: id(Extension::Mid),
            rid: id(Extension::Rid),
            repaired_rid: id(Extension::RepairedRid),
            audio_level: id(Extension::AudioLevel),
            transport_sequence: id(Extension::TransportSequence),
            dependency_descriptor: id(Extension::DependencyDescriptor),
        };
    }
}
