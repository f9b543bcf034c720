//! What the relay counts. A drop always has a reason here; nothing is logged per packet (DESIGN 6).
//!
//! Three sums hold after every drained batch, and tests check them:
//! `rtp_in` = `rtp_accepted` + all `rtp_drop_*`,
//! `rtp_offered` = `rtp_out` + all `rtp_skip_*` + `rtp_waiting_now`, where a packet is offered once per downtrack, and
//! `loss_found` = all other `loss_*`.

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Every count of one worker since it started. Nothing in here names a person, room or address.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[repr(C)] // as declared, so that reading all of them is one copy
        pub struct Counters {
            $($(#[$doc])+ pub $name: u64,)+
        }

        impl Counters {
            /// In the order of declaration.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];

            /// In the same order.
            pub fn values(&self) -> [u64; Self::NAMES.len()] {
                [$(self.$name,)+]
            }

            /// Names and values, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                Self::NAMES.iter().copied().zip(self.values())
            }
        }
    };
}

counters! {
    /// Datagrams received.
    datagrams_in,
    /// Bytes received, UDP payload.
    bytes_in,
    /// Datagrams handed to the sockets.
    datagrams_out,
    /// Bytes handed to the sockets, UDP payload.
    bytes_out,
    /// Neither STUN, DTLS, RTP nor RTCP.
    drop_unknown_protocol,

    /// STUN datagrams received.
    stun_in,
    /// Binding requests answered with success.
    stun_answered,
    /// Not a Binding message, or damaged.
    stun_drop_malformed,
    /// A username fragment that no peer has; no reply.
    stun_drop_unknown_user,
    /// MESSAGE-INTEGRITY missing or wrong; no reply.
    stun_drop_integrity,
    /// From an address that belongs to another live peer; no reply.
    stun_drop_address_taken,
    /// A reply would have passed three times what the address had sent.
    stun_drop_allowance,
    /// Answered 487: the peer takes itself for the controlled side.
    stun_role_conflicts,
    /// Indications, error responses and responses that match no question of ours.
    stun_drop_unexpected,
    /// Binding requests of ours that questioned an address.
    challenges_sent,
    /// Addresses that answered.
    challenges_answered,
    /// Times that media moved to another proven address.
    paths_migrated,
    /// Peers whose consent ran out.
    consents_lost,

    /// DTLS datagrams received.
    dtls_in,
    /// DTLS datagrams passed on to the control plane.
    dtls_forwarded,
    /// From an address that STUN has not bound: a pipe's is none.
    dtls_drop_stranger,
    /// Above the peer's queue or rate.
    dtls_drop_budget,
    /// DTLS datagrams sent.
    dtls_out,
    /// To be sent, but the queue that waits for the allowance was full or there was no address.
    dtls_drop_unsent,

    /// RTP datagrams received.
    rtp_in,
    /// RTP bytes received.
    rtp_bytes_in,
    /// Opened, bound to a track and queued for its downtracks.
    rtp_accepted,
    /// From an address that is no peer's.
    rtp_drop_stranger,
    /// Before keys were installed.
    rtp_drop_no_keys,
    /// Not an RTP packet after all.
    rtp_drop_malformed,
    /// Authentication failed.
    rtp_drop_bad_tag,
    /// Seen before.
    rtp_drop_replayed,
    /// Older than the replay window.
    rtp_drop_too_old,
    /// An SSRC that is neither declared nor bound by MID and RID.
    rtp_drop_unbound,
    /// The peer's cap on streams was reached.
    rtp_drop_stream_limit,
    /// A payload type that is not one of the track's formats.
    rtp_drop_format,
    /// The track is muted by the control plane.
    rtp_drop_muted,
    /// The publisher's `not_after` passed.
    rtp_drop_expired,
    /// Retransmission without a packet in it, as bandwidth probes are.
    rtp_drop_rtx_padding,
    /// Retransmission of a packet that arrived.
    rtp_drop_rtx_duplicate,
    /// Retransmission of a packet that is too old, or that nothing later was heard after.
    rtp_drop_rtx_outside,
    /// Retransmission for a stream that was never heard.
    rtp_drop_rtx_unheard,

    /// Accepted packets times downtracks.
    rtp_offered,
    /// RTP packets sealed and sent for the first time.
    rtp_out,
    /// RTP bytes sent, resends included.
    rtp_bytes_out,
    /// Waiting for a key frame.
    rtp_skip_awaiting_key_frame,
    /// On a simulcast layer that the downtrack does not forward now.
    rtp_skip_other_layer,
    /// Of a spatial or temporal layer within the stream that the downtrack leaves out.
    rtp_skip_left_out,
    /// In a format the subscriber does not take.
    rtp_skip_format,
    /// Too late to be placed in sequence, or no longer cached.
    rtp_skip_too_late,
    /// Padding only.
    rtp_skip_padding,
    /// The subscriber wants nothing of this track for now.
    rtp_skip_paused,
    /// The link to the subscriber has no room for it.
    rtp_skip_withheld,
    /// Waited too long for the link to the subscriber, or too much waited: it goes on at a key frame.
    rtp_skip_overdue,
    /// Waited when its downtrack, its track or its subscriber went.
    rtp_skip_abandoned,
    /// The subscriber has no bound address or no keys yet.
    rtp_skip_unbound,
    /// The subscriber's address is unproven and had three times what it sent.
    rtp_skip_allowance,
    /// The subscriber's consent ran out.
    rtp_skip_consent,
    /// The subscriber's `not_after` passed.
    rtp_skip_expired,
    /// Packets that had to wait for the link to the subscriber.
    rtp_paced,
    /// Waiting now.
    rtp_waiting_now,

    /// RTCP datagrams received.
    rtcp_in,
    /// RTCP datagrams opened.
    rtcp_accepted,
    /// From an address that is no peer's.
    rtcp_drop_stranger,
    /// Before keys were installed.
    rtcp_drop_no_keys,
    /// Damaged, or authentication failed.
    rtcp_drop_bad,
    /// Seen before, or older than the replay window.
    rtcp_drop_replayed,
    /// The peer's cap on RTCP senders was reached.
    rtcp_drop_sender_limit,
    /// The peer's `not_after` passed.
    rtcp_drop_expired,
    /// RTCP datagrams sent.
    rtcp_out,
    /// RTCP that could not be sent: no proven address, allowance spent, or indices used up.
    rtcp_drop_unsent,
    /// Lost packets that subscribers asked for again.
    nack_requested,
    /// Packets sent again.
    nack_resent,
    /// Asked for, but forgotten, too often or too late.
    nack_missed,
    /// Waiting to be sent again now.
    nack_waiting_now,
    /// Of those, the ones that went on a retransmission stream of their own.
    nack_resent_rtx,
    /// Packets found missing from what publishers send. Each ends in one of the counts below.
    loss_found,
    /// Came late, before it was asked for.
    loss_late,
    /// Came after it was asked for.
    loss_recovered,
    /// Not needed any more: a key frame came after it.
    loss_superseded,
    /// Asked for as often as is sensible, or too old.
    loss_given_up,
    /// More at once than can be asked for.
    loss_overflow,
    /// Nobody receives the layer, or it ended.
    loss_unwanted,
    /// Missing now.
    loss_now,
    /// Packets asked for again of publishers, repetitions included.
    nack_up_packets,
    /// NACKs sent to publishers.
    nack_up_out,
    /// Retransmissions taken in as the packets they carry.
    rtx_recovered,
    /// Key frames asked for by subscribers.
    key_frame_requests_in,
    /// Key-frame requests sent to publishers.
    key_frame_requests_out,
    /// Transport-wide feedback packets sent.
    transport_feedback_out,
    /// Transport-wide feedback packets of subscribers.
    transport_feedback_in,
    /// More of them than anybody needs to send.
    transport_feedback_ignored,
    /// Bursts sent to find out what a link takes.
    probe_bursts,
    /// Packets sent once more to fill them up.
    probe_resent,
    /// Packets of padding to fill them up.
    probe_padding,
    /// Times that a link turned out to have no room for any of a picture.
    withheld,
    /// Subscribers whose link is estimated now.
    estimated_now,
    /// Sum of their estimates, bits a second.
    estimate_sum_now,

    /// Peers whose `not_after` passed.
    peers_expired,
    /// Peers open now.
    peers_now,
    /// Tracks now.
    tracks_now,
    /// Downtracks now.
    downtracks_now,
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn every_counter_has_its_own_name_and_starts_at_zero() {
        let names: std::collections::BTreeSet<_> = Counters::default().iter().collect();
        assert_eq!(names.len(), Counters::default().iter().count());
        assert!(names.iter().all(|(_, value)| *value == 0));
    }
}
