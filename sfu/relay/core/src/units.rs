//! Newtypes for what the relay counts, so that no two numbers are mistaken for one another.

use std::time::Duration;

/// A point in monotonic time: microseconds since an origin that the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin itself.
    pub const ZERO: Time = Time(0);

    /// A time that many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// A time that many milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Time(millis * 1_000)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;

    fn add(self, span: Duration) -> Time {
        Time(
            self.0
                .saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u64);

impl Bitrate {
    /// Nothing at all.
    pub const ZERO: Bitrate = Bitrate(0);

    /// That many bits a second.
    pub const fn from_bps(bps: u64) -> Self {
        Bitrate(bps)
    }

    /// That many thousand bits a second.
    pub const fn from_kbps(kbps: u64) -> Self {
        Bitrate(kbps.saturating_mul(1_000))
    }

    /// What so many bytes in such a time come to; zero when no time passed.
    pub const fn of(bytes: u64, span: Duration) -> Self {
        let micros = span.as_micros();
        if micros == 0 {
            return Bitrate(0);
        }
        let bps = bytes as u128 * 8_000_000 / micros;
        Bitrate(if bps > u64::MAX as u128 {
            u64::MAX
        } else {
            bps as u64
        })
    }

    /// Bits a second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// This rate times `factor`; a factor below zero, or no number, makes it zero.
    pub fn scaled(self, factor: f64) -> Self {
        Bitrate((self.0 as f64 * factor) as u64) // such a cast saturates, and takes NaN for zero
    }

    /// Whole bytes that fit into `span`.
    pub const fn bytes_in(self, span: Duration) -> u64 {
        let bytes = (self.0 as u128).saturating_mul(span.as_micros()) / 8_000_000;
        if bytes > u64::MAX as u128 {
            u64::MAX
        } else {
            bytes as u64
        }
    }

    /// How long so many bytes take; the longest there is at no rate.
    pub const fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        let micros = bytes as u128 * 8_000_000 / self.0 as u128;
        Duration::from_micros(if micros > u64::MAX as u128 {
            u64::MAX
        } else {
            micros as u64
        })
    }

    /// Both together.
    pub const fn plus(self, other: Bitrate) -> Self {
        Bitrate(self.0.saturating_add(other.0))
    }

    /// What is left of this without the other.
    pub const fn less(self, other: Bitrate) -> Self {
        Bitrate(self.0.saturating_sub(other.0))
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);
    };
}

identifier!(
    /// One transport (ICE, DTLS, SRTP) as the control plane numbers it; never reused.
    PeerId, u64
);
identifier!(
    /// One published track as the control plane numbers it; never reused.
    TrackId, u64
);
identifier!(
    /// One outgoing stream of one track to one subscriber; never reused.
    DowntrackId, u64
);
identifier!(
    /// An RTP synchronisation source (RFC 3550 section 3).
    Ssrc, u32
);
identifier!(
    /// An RTP payload type, 0 to 127.
    PayloadType, u8
);
identifier!(
    /// The place of a simulcast layer in its track, 0 the lowest; single-stream tracks use 0.
    LayerId, u8
);
identifier!(
    /// A 64-bit NTP timestamp as in a sender report (RFC 3550 section 4).
    NtpTime, u64
);

impl NtpTime {
    /// The middle 32 bits, as reports quote them (RFC 3550 section 6.4.1, LSR).
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// This instant moved on by `span`.
    pub fn plus(self, span: Duration) -> NtpTime {
        let fraction = (u128::from(span.subsec_nanos()) << 32) / 1_000_000_000;
        let delta = (span.as_secs() << 32) | (fraction as u64);
        NtpTime(self.0.wrapping_add(delta))
    }
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Camera or screen.
    Video,
}

/// The payload formats whose packets the relay can look into. Pictures and sound are never changed; of what precedes
/// them, VP8's running numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// The AOMedia RTP payload specification.
    Av1,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bytes_over_time_and_back() {
        let rate = Bitrate::of(125_000, Duration::from_millis(500));
        assert_eq!(rate, Bitrate::from_kbps(2_000));
        assert_eq!(rate.bytes_in(Duration::from_millis(40)), 10_000);
        assert_eq!(rate.time_for(10_000), Duration::from_millis(40));
        assert_eq!(rate.scaled(0.5), Bitrate::from_kbps(1_000));
    }

    #[test]
    fn no_rate_no_time_and_no_number_are_no_accidents() {
        assert_eq!(Bitrate::of(1_000, Duration::ZERO), Bitrate::ZERO);
        assert_eq!(Bitrate::ZERO.time_for(1), Duration::MAX);
        assert_eq!(Bitrate::from_kbps(1).scaled(f64::NAN), Bitrate::ZERO);
        assert_eq!(Bitrate::from_kbps(1).scaled(-1.0), Bitrate::ZERO);
        let most = Bitrate::from_bps(u64::MAX);
        assert_eq!(most.plus(most), most);
        assert_eq!(most.scaled(2.0), most);
        assert_eq!(most.bytes_in(Duration::MAX), u64::MAX);
        assert_eq!(Bitrate::of(u64::MAX, Duration::from_micros(1)), most);
        assert_eq!(Bitrate::ZERO.less(most), Bitrate::ZERO);
        assert_eq!(
            Bitrate::from_bps(1).time_for(u64::MAX),
            Duration::from_micros(u64::MAX)
        );
    }
}
