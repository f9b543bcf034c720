//! Key-frame requests of many subscribers gathered into few towards the publisher.
use std::time::Duration;

use crate::units::Time;

/// Shortest time between two PLIs for one layer. A key frame is several times the size of another frame, so whoever
/// may ask without limit ruins the picture for everybody; and an answer takes a round trip and an encoder's turn,
/// some 100 to 300 ms on bad links, before which asking again would only buy a second key frame. Twice a second
/// allows for that and still repairs a lost request within the second that a late joiner may wait for its picture.
pub const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// How long a request that nobody renews is repeated: ten times. Subscribers that still wait ask again with every
/// packet they cannot use, so only requests to layers that have fallen silent, and of people who left, run out.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5);

/// Gathers requests for one layer: at most one PLI per [`MIN_INTERVAL`], repeated until a key frame comes.
#[derive(Default)]
pub struct KeyFrameRequests {
    /// When somebody last asked, while unanswered.
    wanted: Option<Time>,
    sent: Option<Time>,
}

impl KeyFrameRequests {
    /// A subscriber needs a key frame. Cheap to call often.
    pub fn request(&mut self, now: Time) {
        self.wanted = Some(now);
    }

    /// A key frame began to arrive.
    pub fn satisfied(&mut self, _now: Time) {
        self.wanted = None;
    }

    /// Whether a PLI is to be sent now; calling it counts as sending.
    pub fn poll(&mut self, now: Time) -> bool {
        if self
            .wanted
            .is_some_and(|asked| now.since(asked) >= GIVE_UP_AFTER)
        {
            self.wanted = None;
        }
        let due = self.deadline().is_some_and(|due| due <= now);
        if due {
            self.sent = Some(now);
        }
        due
    }

    /// When `poll` may next say yes.
    pub fn deadline(&self) -> Option<Time> {
        let asked = self.wanted?;
        Some(self.sent.map_or(asked, |sent| sent + MIN_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn nothing_is_sent_unasked() {
        let mut requests = KeyFrameRequests::default();
        assert!(!requests.poll(ms(10_000)));
        assert_eq!(requests.deadline(), None);
    }

    #[test]
    fn the_first_request_goes_at_once() {
        let mut requests = KeyFrameRequests::default();
        requests.request(ms(7));
        assert_eq!(requests.deadline(), Some(ms(7)));
        assert!(requests.poll(ms(7)));
        assert!(!requests.poll(ms(7)));
    }

    #[test]
    fn fifty_subscribers_at_once_make_one_request() {
        let mut requests = KeyFrameRequests::default();
        let mut sent = 0;
        for subscriber in 0..50 {
            requests.request(ms(subscriber));
            sent += u32::from(requests.poll(ms(subscriber)));
        }
        assert_eq!(sent, 1);
    }

    #[test]
    fn an_unanswered_request_is_repeated_until_a_key_frame_comes() {
        let mut requests = KeyFrameRequests::default();
        requests.request(ms(0));
        assert!(requests.poll(ms(0)));
        assert_eq!(requests.deadline(), Some(ms(500)));
        assert!(!requests.poll(ms(499)));
        assert!(requests.poll(ms(500)));
        requests.satisfied(ms(600));
        assert_eq!(requests.deadline(), None);
        assert!(!requests.poll(ms(1_000)));
    }

    #[test]
    fn a_key_frame_request_flood_costs_the_publisher_two_a_second() {
        let flood = |poll: &mut dyn FnMut(Time) -> bool| {
            (0..10_000u64).filter(|&millis| poll(ms(millis))).count()
        };
        // Without the throttle each of 10,000 requests in ten seconds would reach the publisher.
        assert_eq!(flood(&mut |_| true), 10_000);
        let mut requests = KeyFrameRequests::default();
        let sent = flood(&mut |now| {
            requests.request(now);
            let sent = requests.poll(now);
            // Every request is answered at once, so each asks for a further key frame.
            requests.satisfied(now);
            sent
        });
        assert_eq!(sent, 20);
    }

    #[test]
    fn a_request_nobody_renews_runs_out() {
        let mut requests = KeyFrameRequests::default();
        requests.request(ms(0));
        let sent = (0..60_000)
            .step_by(100)
            .filter(|&millis| requests.poll(ms(millis)))
            .count();
        assert_eq!(sent, 10);
        assert_eq!(requests.deadline(), None);
        requests.request(ms(60_000));
        assert!(requests.poll(ms(60_000)));
    }
}
